//! What was found, as a table for people and as JSON.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cases::{COMPARED, Comparison};
use crate::footprint::Footprint;
use crate::machine::Machine;
use crate::options::Options;
use crate::rounds::Measured;
use crate::statistics::{Estimate, estimate, median};

/// Everything that was found.
#[derive(Debug)]
pub struct Report<'a> {
    machine: Machine,
    footprint: Footprint,
    options: &'a Options,
    rows: Vec<Row<'a>>,
    ratios: Vec<Ratio>,
    /// The median share of its time in which the worker waited for a CPU.
    waited: f64,
}

/// A case.
#[derive(Debug)]
struct Row<'a> {
    measured: &'a Measured,
    /// CPU per request, in microseconds.
    micros: f64,
    /// What of that comes on top of a direct response; `None` for that itself.
    added: Option<Estimate>,
}

/// What one case adds, in parts of what another adds.
#[derive(Debug)]
struct Ratio {
    one: String,
    other: String,
    ratio: Estimate,
    /// The target.
    most: Option<f64>,
}

impl<'a> Report<'a> {
    /// Computes it.
    pub fn new(machine: Machine, footprint: Footprint, options: &'a Options, measured: &'a [Measured]) -> Self {
        let rounds = options.rounds;
        let named = |name: &str| measured.iter().find(|m| m.case.name == name);
        let added = |m: &Measured, rounds: &[usize]| {
            let base = m.case.base.and_then(named).map_or(&[][..], |base| &base.micros);
            median(rounds.iter().map(|r| m.micros[*r] - base[*r]))
        };
        let row = |m: &'a Measured| {
            let added = m.case.base.map(|_| estimate(rounds, |drawn| added(m, drawn)));
            Row { measured: m, micros: median(m.micros.iter().copied()), added }
        };
        let ratio = |one: &str, other: &str, most| {
            let (first, second) = named(one).zip(named(other))?;
            let ratio = estimate(rounds, |drawn| added(first, drawn) / added(second, drawn));
            Some(Ratio { one: one.to_owned(), other: other.to_owned(), ratio, most })
        };
        let compared = COMPARED.iter().map(|Comparison { one, other, most }| (*one, *other, *most));
        let beside = measured.iter().filter(|m| m.case.name.starts_with("beside: "));
        let pairs = compared.chain(beside.map(|m| (m.case.name.as_str(), COMPARED[0].one, None)));
        Self {
            machine,
            footprint,
            options,
            rows: measured.iter().map(row).collect(),
            ratios: pairs.filter_map(|(one, other, most)| ratio(one, other, most)).collect(),
            waited: median(measured.iter().flat_map(|m| m.waited.iter().copied())),
        }
    }

    /// Prints it for people.
    pub fn print(&self) {
        println!("{}", self.machine.lines());
        println!(
            "{} rounds of {} ms a case; the worker waited {:.0} % of its time for a CPU\n",
            self.options.rounds,
            self.options.slot.as_millis(),
            self.waited * 100.0,
        );
        println!("{:<38}{:>10}{:>10}{:>20}", "CPU OF THE WORKER PER REQUEST", "MICROS", "ADDED", "95 %");
        for Row { measured, micros, added } in &self.rows {
            let added = added.map_or_else(String::new, |a| {
                format!("{:>+10.1}{:>20}", a.value, format!("{:+.1} to {:+.1}", a.low, a.high))
            });
            println!("{:<38}{micros:>10.1}{added}", measured.case.name);
        }
        println!(
            "\n{:<72}{:>8}{:>17}{:>16}",
            "WHAT ONE ADDS, IN PARTS OF WHAT THE OTHER ADDS", "RATIO", "95 %", "TARGET"
        );
        for Ratio { one, other, ratio, most } in &self.ratios {
            let interval = format!("{:.3} to {:.3}", ratio.low, ratio.high);
            let target = most.map_or_else(String::new, |most| {
                format!("{:>8.3} {}", most, if ratio.value <= most { "met" } else { "missed" })
            });
            println!("{:<72}{:>8.3}{interval:>17}{target:>16}", format!("{one} / {other}"), ratio.value);
        }
        let Footprint { module, worker } = self.footprint;
        println!("\nmodule {:.0} KB; resident memory per worker {:.1} MB", module as f64 / 1e3, worker as f64 / 1e6);
    }

    /// On what and of what the numbers are, in one line.
    pub fn title(&self) -> String {
        self.machine.line()
    }

    /// What each case adds, for drawing.
    pub fn added(&self) -> impl Iterator<Item = (&str, Estimate)> {
        self.rows.iter().filter_map(|row| Some((row.measured.case.name.as_str(), row.added?)))
    }

    /// Writes it for programs.
    pub fn write(&self, file: &Path) -> Result<()> {
        let text = format!("{:#}\n", self.json());
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    fn json(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "name": row.measured.case.name,
                "micros": rounded(row.micros),
                "added": row.added.as_ref().map(interval),
                "requests": row.measured.sent,
                "samples": row.measured.micros.iter().map(|m| rounded(*m)).collect::<Vec<_>>(),
            })
        };
        let ratio = |r: &Ratio| json!({"of": r.one, "to": r.other, "added": interval(&r.ratio), "target": r.most});
        json!({
            "machine": self.machine.json(),
            "moduleBytes": self.footprint.module,
            "workerBytes": self.footprint.worker,
            "module": self.options.module,
            "rounds": self.options.rounds,
            "slotMillis": self.options.slot.as_millis() as u64,
            "waited": rounded(self.waited),
            "cases": self.rows.iter().map(row).collect::<Vec<_>>(),
            "ratios": self.ratios.iter().map(ratio).collect::<Vec<_>>(),
        })
    }
}

fn interval(estimate: &Estimate) -> Value {
    json!({"value": rounded(estimate.value), "low": rounded(estimate.low), "high": rounded(estimate.high)})
}

/// Nanoseconds are as fine as it gets.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
