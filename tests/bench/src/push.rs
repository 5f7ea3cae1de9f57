//! How soon a new configuration is live, and for how long it keeps a worker from its requests.
//!
//! Envoy reads the filter's configuration from a file that is replaced, as a control plane's push
//! would. One caller calls without a pause, one call at a time: the longest of them is how long the
//! worker was kept, and the first that is answered by the new table ends the push.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use portcullis_e2e::client::{Exchange, Request};
use portcullis_e2e::envoy::Launch;

use crate::grants::{self, USER};
use crate::listeners::{self, PORTCULLIS};
use crate::machine::Machine;
use crate::options::Options;
use crate::provider::Provider;

/// How many grants the tables have.
const GRANTS: usize = 100_000;
/// For how long calls are made without a push, for comparison, and on after one.
const WATCH: Duration = Duration::from_millis(300);
/// A push that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was seen of one push.
struct Push {
    /// From the file's replacement to the end of the first call that the new table allowed.
    live: Duration,
    /// The longest call meanwhile.
    longest: Duration,
    /// The longest call while nothing was pushed.
    otherwise: Duration,
}

/// Measures pushes, and prints what was found.
pub fn measure(options: &Options) -> Result<()> {
    let provider = Provider::new("RS256")?;
    let token = provider.token(USER, 0);
    let tables = [0, 1].map(|group| grants::table(&grants::organisation(GRANTS, group)));
    let [first, second] = tables;
    let (first, second) = (first?, second?);
    println!("tables of {GRANTS} grants: {} and {} bytes of base64", first.len(), second.len());
    let first = listeners::with_one_table(options, &provider, first)?;
    let second = listeners::with_one_table(options, &provider, second)?;
    let filters = [first.filter(), second.filter()];
    let calls = [0, 1].map(|group| grants::of_group(group).bearer(&token));

    let envoy = Launch::new(first.build()).discovered_filter().start()?;
    println!("{}", Machine::look(&envoy)?.lines());
    let mut exchange = Exchange::connect(envoy.addr(PORTCULLIS)?)?;
    let start = Instant::now();
    while !allowed(&mut exchange, &calls[0])?.0 {
        if start.elapsed() > PATIENCE {
            bail!("the first table never allowed a call");
        }
    }
    let mut pushes = Vec::new();
    for number in 1..=options.pushes {
        let (filter, call) = (&filters[number % 2], &calls[number % 2]);
        let mut push = Push { live: Duration::ZERO, longest: Duration::ZERO, otherwise: Duration::ZERO };
        let quiet = Instant::now();
        while quiet.elapsed() < WATCH {
            push.otherwise = push.otherwise.max(allowed(&mut exchange, call)?.1);
        }
        let begun = envoy.put_filter(filter)?;
        let mut live = None;
        while live.is_none() || begun.elapsed() < WATCH {
            let (is_allowed, took) = allowed(&mut exchange, call)?;
            push.longest = push.longest.max(took);
            if is_allowed && live.is_none() {
                live = Some(begun.elapsed());
            }
            if begun.elapsed() > PATIENCE {
                bail!("push {number} has had no effect after {PATIENCE:?}");
            }
        }
        push.live = live.unwrap_or_default();
        pushes.push(push);
    }
    println!("{} pushes, in milliseconds:                median    largest", pushes.len());
    for (what, of) in [
        ("live after", (|push: &Push| push.live) as fn(&Push) -> Duration),
        ("longest call meanwhile", |push| push.longest),
        ("longest call otherwise", |push| push.otherwise),
    ] {
        let mut times: Vec<Duration> = pushes.iter().map(of).collect();
        times.sort_unstable();
        let milliseconds = |time: &Duration| time.as_secs_f64() * 1_000.0;
        let (median, largest) = (milliseconds(&times[times.len() / 2]), times.last().map_or(0.0, milliseconds));
        println!("  {what:40} {median:9.1}  {largest:9.1}");
    }
    Ok(())
}

/// Makes a call: whether it was allowed, and how long it took.
fn allowed(exchange: &mut Exchange, call: &Request) -> Result<(bool, Duration)> {
    let start = Instant::now();
    exchange.send(call);
    let status = exchange.response()?.status;
    match status {
        200 | 403 => Ok((status == 200, start.elapsed())),
        other => bail!("a call was answered {other}"),
    }
}
