//! `livegui health`: asks an agent, or all of them, once.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Exit, HealthArgs};
use crate::harness::{Client, NoAnswer};
use crate::runtime_dir::RuntimeDir;
use crate::text::Print;
use crate::wire::{DISCOVERY_FILE, DISCOVERY_SCHEMA, Discovery, Health, Status};

const WITHIN: Duration = Duration::from_secs(3);

/// Asks, and shows the answer.
pub fn run(arguments: &HealthArgs, out: &mut dyn Print) -> io::Result<Exit> {
    let answers = match &arguments.target {
        Some(target) => vec![ask(&find(target, arguments.token.as_deref())?)?],
        None => everybody()?,
    };
    let mut exit = Exit::Ok;
    for health in answers {
        if health.status != Status::Ok {
            exit = Exit::Unwell;
        }
        if arguments.json {
            out.raw(&format!("{}\n", serde_json::to_string(&health)?))?;
        } else {
            show(&health, out)?;
        }
    }
    Ok(exit)
}

fn ask(client: &Client) -> io::Result<Health> {
    // Another process may have the port by now. It must not receive the token.
    if client.is_gone() {
        let what = format!("the app is gone: there is no process {} any more", client.pid());
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    client.health(WITHIN).map_err(|NoAnswer { why, .. }| {
        io::Error::other(format!(
            "no answer from {}: {why}; the app is gone, or its agent has stopped",
            client.url()
        ))
    })
}

fn find(target: &str, token: Option<&str>) -> io::Result<Client> {
    if target.starts_with("http://") {
        return Ok(Client::new(Discovery {
            schema: DISCOVERY_SCHEMA.to_owned(),
            pid: 0,
            process: None,
            program: None,
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
    Client::read(&file).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}

/// The answers of every app of this user that has a discovery file in the runtime folder. Deletes the files of apps
/// that are gone.
fn everybody() -> io::Result<Vec<Health>> {
    let nobody = || {
        let folder = RuntimeDir::path_of_user();
        let what = format!("no app of this user answers ({} was looked at)", folder.display());
        io::Error::new(io::ErrorKind::NotFound, what)
    };
    let folder = match RuntimeDir::open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(nobody()),
        opened => opened?,
    };
    folder.sweep();
    let clients = folder
        .discovery_files()
        .filter_map(|file| Client::read(&file).ok());
    let answers: Vec<_> = clients.filter_map(|client| ask(&client).ok()).collect();
    if answers.is_empty() {
        return Err(nobody());
    }
    Ok(answers)
}

fn show(health: &Health, out: &mut dyn Print) -> io::Result<()> {
    let check = &health.checks.main_loop;
    let since = Duration::from_millis(health.since_ms).as_secs_f64();
    out.one_line(&format!(
        "{} (pid {}): {} for {since:.1} s",
        health.app, health.pid, health.status
    ))?;
    for reason in &health.reasons {
        out.one_line(&format!(
            "  {} [{}]: {}",
            reason.code, reason.component, reason.message
        ))?;
    }
    if check.is_watched() {
        let frames = &check.frame_ms;
        out.one_line(&format!(
            "  {} beats, frames of {:.1} ms at the median, {:.1} ms at p99, {:.1} ms at most",
            check.beats, frames.p50, frames.p99, frames.max
        ))?;
    } else {
        out.one_line("  its main loop is not watched: livegui does not know its kind")?;
    }
    for reason in &health.history {
        let lasted = Duration::from_millis(reason.lasted_ms.unwrap_or(0)).as_secs_f64();
        out.one_line(&format!(
            "  was: {} for {lasted:.1} s: {}",
            reason.code, reason.message
        ))?;
    }
    Ok(())
}
