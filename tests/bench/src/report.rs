//! What was found, as a table for people and as JSON.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cases::{BASE, COMPARED};
use crate::machine::Machine;
use crate::options::Options;
use crate::rounds::Measured;
use crate::statistics::{Estimate, estimate, median};

/// Everything that was found.
#[derive(Debug)]
pub struct Report<'a> {
    machine: Machine,
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
}

impl<'a> Report<'a> {
    /// Computes it.
    pub fn new(machine: Machine, options: &'a Options, measured: &'a [Measured]) -> Self {
        let rounds = options.rounds;
        let named = |name: &str| measured.iter().find(|m| m.case.name == name);
        let base = named(BASE).map_or(&[][..], |m| &m.micros);
        let added = |m: &Measured, rounds: &[usize]| median(rounds.iter().map(|r| m.micros[*r] - base[*r]));
        let row = |m: &'a Measured| {
            let added = (m.case.name != BASE).then(|| estimate(rounds, |drawn| added(m, drawn)));
            Row { measured: m, micros: median(m.micros.iter().copied()), added }
        };
        let ratio = |one: &str, other: &str| {
            let (first, second) = named(one).zip(named(other))?;
            let ratio = estimate(rounds, |drawn| added(first, drawn) / added(second, drawn));
            Some(Ratio { one: one.to_owned(), other: other.to_owned(), ratio })
        };
        let beside = measured.iter().filter(|m| m.case.name.starts_with("beside: "));
        let pairs = COMPARED.into_iter().chain(beside.map(|m| (m.case.name.as_str(), COMPARED[0].0)));
        Self {
            machine,
            options,
            rows: measured.iter().map(row).collect(),
            ratios: pairs.filter_map(|(one, other)| ratio(one, other)).collect(),
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
        println!("{:<30}{:>10}{:>10}{:>18}", "CPU OF THE WORKER PER REQUEST", "MICROS", "ADDED", "95 %");
        for Row { measured, micros, added } in &self.rows {
            let added = added.map_or_else(String::new, |a| {
                format!("{:>+10.1}{:>18}", a.value, format!("{:+.1} to {:+.1}", a.low, a.high))
            });
            println!("{:<30}{micros:>10.1}{added}", measured.case.name);
        }
        println!("\n{:<60}{:>8}{:>15}", "WHAT ONE ADDS, AS A RATIO TO WHAT THE OTHER ADDS", "RATIO", "95 %");
        for Ratio { one, other, ratio } in &self.ratios {
            let interval = format!("{:.2} to {:.2}", ratio.low, ratio.high);
            println!("{:<60}{:>8.2}{interval:>15}", format!("{one} / {other}"), ratio.value);
        }
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
        let ratio = |r: &Ratio| json!({"of": r.one, "to": r.other, "added": interval(&r.ratio)});
        json!({
            "machine": self.machine.json(),
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
