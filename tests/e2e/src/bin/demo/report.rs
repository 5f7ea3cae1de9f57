//! What the demo prints. Answers come from the wire, reasons and times from Envoy's access log.

use anyhow::Result;
use portcullis_e2e::client;

use crate::calls::Call;
use crate::stage::Stage;

/// What became of one call.
pub(crate) struct Row<'a> {
    call: &'a Call,
    status: u16,
    reason: String,
    micros: Option<u64>,
    forwarded: bool,
}

impl<'a> Row<'a> {
    /// Makes the call.
    pub(crate) fn of(stage: &Stage, call: &'a Call) -> Result<Self> {
        let response = client::send(stage.addr, &call.request)?;
        let line = stage.envoy.access_line(call.request.id())?;
        Ok(Self {
            call,
            status: response.status,
            reason: line.reason(),
            micros: line.micros(),
            forwarded: stage.upstream.find(call.request.id()).is_some(),
        })
    }

    fn allowed(&self) -> bool {
        self.call.honest && self.forwarded
    }

    fn denied(&self) -> bool {
        self.call.honest && !self.forwarded && self.status == 403
    }

    fn cells(&self) -> [String; 5] {
        let time = |micros: u64| format!("{:.2} ms", micros as f64 / 1000.0);
        [
            self.call.who.clone(),
            self.call.what.clone(),
            self.status.to_string(),
            self.reason.clone(),
            self.micros.map_or_else(|| "-".to_owned(), time),
        ]
    }
}

/// Prints the table.
pub(crate) fn table(rows: &[Row]) {
    let head = ["WHO", "CALL", "ANSWER", "REASON", "TIME"].map(str::to_owned);
    let lines: Vec<[String; 5]> = std::iter::once(head).chain(rows.iter().map(Row::cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths = [0, 1, 2, 3, 4].map(|column| width(column).unwrap_or_default());
    for [who, call, answer, reason, time] in &lines {
        println!(
            "{who:<w0$}  {call:<w1$}  {answer:<w2$}  {reason:<w3$}  {time:>w4$}",
            w0 = widths[0],
            w1 = widths[1],
            w2 = widths[2],
            w3 = widths[3],
            w4 = widths[4],
        );
    }
    let forwarded = rows.iter().filter(|row| row.forwarded).count();
    println!("\n{forwarded} of {} calls reached the cluster.", rows.len());
    println!("Answers are from the wire, reasons and times from Envoy's access log.");
}

/// Prints calls to try while all is left running.
pub(crate) fn to_try(stage: &Stage, rows: &[Row]) {
    let allowed = rows.iter().find(|row| row.allowed()).map(|row| row.call);
    let denied = rows.iter().find(|row| row.denied()).map(|row| row.call);
    let lines = [
        allowed.map(|call| (format!("allowed: {}", call.who), &call.request)),
        denied.map(|call| (format!("denied: {}", call.who), &call.request)),
        allowed.map(|call| ("without a token".to_owned(), &call.bare)),
    ];
    for (what, request) in lines.into_iter().flatten() {
        println!("\n# {what}\n{}", request.curl(stage.addr));
    }
    println!("\nadmin page: http://{}", stage.envoy.admin_addr());
    println!("Ctrl-C stops everything. The tokens are good for 12 hours.");
}
