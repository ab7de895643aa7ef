//! `coracle toolbox list`.

use crate::cli::{App, ps, table, ui};
use crate::error::Result;
use crate::toolbox;

/// List boxes
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Only names
    #[arg(short, long)]
    pub quiet: bool,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let (boxes, bad) = toolbox::list(&app.dirs()?)?;
    if args.quiet {
        boxes.iter().try_for_each(|(c, _)| ui::line(&c.name))?;
        return Ok(ui::errors(&bad));
    }
    let now = jiff::Timestamp::now();
    let head = ["CONTAINER ID", "NAME", "CREATED", "STATUS", "IMAGE"].map(str::to_owned).to_vec();
    let row = |(c, s): &(crate::ondisk::container::Container, crate::ondisk::container::State)| {
        let created = format!("{} ago", crate::cli::parse::time::ago(&c.created, now));
        vec![c.id.short().to_owned(), c.name.to_string(), created, ps::status(c, s, now), c.image.clone()]
    };
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(boxes.iter().map(row)).collect();
    ui::out(&table::render(&rows))?;
    Ok(ui::errors(&bad))
}
