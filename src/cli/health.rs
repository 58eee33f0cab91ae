//! `livegui health`: one question, one answer.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::{Exit, HealthArgs};
use crate::harness::{Client, NoAnswer, process_exists};
use crate::places::runtime_folder;
use crate::wire::{DISCOVERY_FILE, DISCOVERY_SCHEMA, Discovery, Health};

const WITHIN: Duration = Duration::from_secs(3);

/// Asks, and shows what was answered.
pub fn run(arguments: &HealthArgs, out: &mut dyn Write) -> io::Result<Exit> {
    let clients = match &arguments.target {
        Some(target) => vec![find(target, arguments.token.as_deref())?],
        None => everybody()?,
    };
    let mut exit = Exit::Ok;
    for client in clients {
        let health = client.health(WITHIN).map_err(|NoAnswer(why)| {
            io::Error::other(format!(
                "no answer from {}: {why}; the app is gone, or its agent has stopped",
                client.url()
            ))
        })?;
        if health.status != "ok" {
            exit = Exit::Unwell;
        }
        if arguments.json {
            serde_json::to_writer(&mut *out, &health)?;
            writeln!(out)?;
        } else {
            show(&health, out)?;
        }
    }
    Ok(exit)
}

fn find(target: &str, token: Option<&str>) -> io::Result<Client> {
    if target.starts_with("http://") {
        return Ok(Client::new(Discovery {
            schema: DISCOVERY_SCHEMA.to_owned(),
            pid: 0,
            instance: String::new(),
            url: target.trim_end_matches('/').to_owned(),
            token: token.unwrap_or_default().to_owned(),
            journal: None,
        }));
    }
    let path = Path::new(target);
    let file = if path.is_dir() {
        path.join(DISCOVERY_FILE)
    } else {
        path.to_owned()
    };
    read(&file).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}

/// Every app of this user that left its discovery file in the runtime folder; the files of those that
/// are gone are swept away.
fn everybody() -> io::Result<Vec<Client>> {
    let folder = runtime_folder();
    let mut clients = Vec::new();
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let Ok(client) = read(&path) else { continue };
        if client.health(WITHIN).is_ok() {
            clients.push(client);
        } else if !process_exists(client.pid()) {
            let _ = fs::remove_file(&path);
        }
    }
    if clients.is_empty() {
        let what = format!("no app of this user answers ({} was looked at)", folder.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    Ok(clients)
}

fn read(file: &Path) -> io::Result<Client> {
    let discovery: Discovery = serde_json::from_slice(&fs::read(file)?)?;
    Ok(Client::new(discovery))
}

fn show(health: &Health, out: &mut dyn Write) -> io::Result<()> {
    let check = &health.checks.main_loop;
    let since = Duration::from_millis(health.since_ms).as_secs_f64();
    writeln!(
        out,
        "{} (pid {}): {} for {since:.1} s",
        health.app, health.pid, health.status
    )?;
    for reason in &health.reasons {
        writeln!(
            out,
            "  {} [{}]: {}",
            reason.code, reason.component, reason.message
        )?;
    }
    let frames = &check.frame_ms;
    writeln!(
        out,
        "  {} beats, frames of {:.1} ms at the median, {:.1} ms at p99, {:.1} ms at most",
        check.beats, frames.p50, frames.p99, frames.max
    )?;
    for reason in &health.history {
        let lasted = Duration::from_millis(reason.lasted_ms.unwrap_or(0)).as_secs_f64();
        writeln!(
            out,
            "  was: {} for {lasted:.1} s: {}",
            reason.code, reason.message
        )?;
    }
    Ok(())
}
