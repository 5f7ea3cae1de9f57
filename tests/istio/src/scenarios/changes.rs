//! Changes that users make on purpose: a policy, a version of the module, shadow mode.

use super::with;
use crate::guard;
use crate::world::{GUARDED, OPEN, World};
use anyhow::Result;
use portcullis_e2e::client::{self, Request};
use portcullis_e2e::version::{self, NEXT_WORD, WORD};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

/// Policies pushed one after the other while callers call: each arrives, and every call is answered
/// right.
pub fn a_push_under_traffic(world: &mut World) -> Result<()> {
    world.guarded_by(&world.guard()?)?;
    let push = |world: &World, number: usize| {
        let process = format!("process-{number}");
        let mut rendering = world.rendering(&["istio", "--url", &world.file_url]);
        rendering.policy = guard::policy(&["invoice", &process]);
        let objects = world.portcullis.render(&rendering)?;
        let start = Instant::now();
        world.kube.apply(&objects)?;
        world.until("the policy", || world.dora_may(&process))?;
        let others = (1..number).map(|other| format!("process-{other}"));
        world.until("the policy at every worker", || others.clone().all(|other| !world.dora_may(&other)))?;
        Ok(start.elapsed())
    };
    let pushes = |world: &World| (1..=20).map(|number| push(world, number)).collect::<Result<Vec<Duration>>>();
    let (mut times, fire) = world.under_fire(pushes)?;
    fire.answered_right()?;
    times.sort_unstable();
    println!("  {} pushes, in force after {:.0?} to {:.0?}", times.len(), times[0], times[times.len() - 1]);
    world.doctor_says(&[])
}

/// From a module in a file to one from a registry, to another version of it, and back, under traffic.
pub fn an_upgrade_and_the_way_back(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    world.guarded_by(&[plugin.clone(), belt])?;
    let upgraded = with(&plugin, "/spec/url", world.registry.url().into());
    let upgraded = with(&upgraded, "/spec/sha256", world.registry.digest.clone().into());
    let fetched = |world: &World| {
        world.gateway().config_dump().is_ok_and(|dump| {
            let sections = dump["configs"].as_array().into_iter().flatten();
            let filters = sections.flat_map(|section| section["ecds_filters"].as_array().into_iter().flatten());
            let text = |filter: &Value| filter["ecds_filter"]["typed_config"].to_string();
            let name = format!("\"default.{}~", plugin["metadata"]["name"].as_str().unwrap_or_default());
            filters.map(text).any(|filter| filter.contains(&name) && filter.contains("/var/lib/istio/data/"))
        })
    };
    let file = world.folder().join("next.wasm");
    fs::write(&file, version::next(&fs::read(world.file_url.trim_start_matches("file://"))?)?)?;
    let next = with(&plugin, "/spec/url", format!("file://{}", file.display()).into());
    // The callers' calls without a token: which version counts more of them.
    let counted = |world: &World, word: &str| {
        let stats = client::send(world.gateway().admin, &Request::get("/stats?filter=portcullis_decisions"));
        stats.map_or(0, |stats| version::counted(&stats.text(), word))
    };
    let runs = |world: &World, word: &str| {
        let so_far = counted(world, word);
        world.until(word, || counted(world, word) > so_far)
    };
    let ((), fire) = world.under_fire(|world| {
        world.kube.apply([&upgraded])?;
        world.until("the fetched module", || fetched(world))?;
        world.becomes(GUARDED)?;
        world.kube.apply([&next])?;
        runs(world, NEXT_WORD)?;
        world.becomes(GUARDED)?;
        world.kube.apply([&plugin])?;
        world.until("the file", || !fetched(world))?;
        runs(world, WORD)?;
        world.becomes(GUARDED)
    })?;
    fire.answered_right()?;
    Ok(())
}

/// Shadow mode without the belt forwards everything, and counts what it would have denied; the doctor
/// says that nothing is enforced.
pub fn shadow_counts_and_forwards(world: &mut World) -> Result<()> {
    let [plugin, belt] = world.guard()?;
    let shadow = with(&plugin, "/spec/pluginConfig/mode", "shadow".into());
    let shadow = with(&shadow, "/spec/pluginConfig/shadow", json!({"until": "2099-01-01T00:00:00Z"}));
    world.kube.apply([&shadow])?;
    let denials = |world: &World| -> Option<u64> {
        let stats = client::send(world.gateway().admin, &Request::get("/stats?filter=shadow_denials")).ok()?.text();
        Some(stats.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum())
    };
    world.until("counted denials", || world.becomes(OPEN).is_ok() && denials(world) > Some(2))?;
    world.doctor_says(&["belt_missing", "shadow"])?;
    // With the belt, shadow mode passes nothing; enforcing it is one change.
    world.guarded_by(&[plugin, belt])
}
