//! What livegui tells other programs about itself: schemas, shell completions, a man page.

use std::io;

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::Shell;

use super::{Cli, Exit};
use crate::text::Print;
use crate::wire::schema;

/// Which schema.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The schema to print; without it, the names of all schemas
    name: Option<SchemaName>,
}

/// A file that livegui writes, or an answer of its endpoint.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum SchemaName {
    /// The answer of /health
    Health,
    /// run.json
    Run,
    /// A line of events.jsonl
    Events,
    /// A line of heartbeat.jsonl
    Journal,
    /// agent.json, and the discovery files in the runtime folder
    Agent,
}

/// Which shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell to complete command lines for
    shell: Shell,
}

/// Prints a JSON Schema.
pub fn schema(arguments: &SchemaArgs, out: &mut dyn Print) -> io::Result<Exit> {
    let Some(name) = arguments.name else {
        for name in SchemaName::value_variants() {
            if let Some(value) = name.to_possible_value() {
                let help = value.get_help().map(ToString::to_string).unwrap_or_default();
                writeln!(out, "{:<8} {help}", value.get_name())?;
            }
        }
        return Ok(Exit::Ok);
    };
    let document = match name {
        SchemaName::Health => schema::health(),
        SchemaName::Run => schema::run(),
        SchemaName::Events => schema::events(),
        SchemaName::Journal => schema::journal(),
        SchemaName::Agent => schema::agent(),
    };
    writeln!(out, "{document:#}")?;
    Ok(Exit::Ok)
}

/// Prints the completion script for a shell.
pub fn completions(arguments: &CompletionsArgs, out: &mut dyn Print) -> io::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "livegui", &mut script);
    out.raw(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}

/// Prints the man page, in roff.
pub fn man(out: &mut dyn Print) -> io::Result<Exit> {
    let mut page = Vec::new();
    let command = Cli::command();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("livegui-{}", subcommand.get_name());
        let subcommand = subcommand.clone().display_name(name.clone()).name(name);
        let man = clap_mangen::Man::new(subcommand);
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
    }
    out.raw(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Ok)
}
