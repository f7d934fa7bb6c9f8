//! The terminal of the wizard.

use super::draft::{ingressroute, text};
use super::wizard::{Ending, Wizard};
use crate::failure::{Failure, write_stderr};
use crate::output::Palette;
use crate::question::{self, note, refuse};

/// Asks until everything is answered.
///
/// # Errors
/// If the user ends it by Ctrl-C or Ctrl-D.
pub async fn ask(mut wizard: Wizard, palette: Palette) -> Result<Wizard, Failure> {
    while wizard.ending().is_none() {
        if wizard.is_written() {
            let document = ingressroute(wizard.wish());
            write_stderr(&format!("\n{}\n", text(&[document])));
        }
        let answer = question::ask(&wizard.question(), palette).await?;
        match wizard.answer(&answer) {
            Ok(remarks) => {
                for remark in remarks {
                    note(&remark, palette);
                }
            }
            Err(reason) => refuse(&reason, palette),
        }
    }
    Ok(wizard)
}

/// What the end of the wizard means for the flags.
pub fn decide(ending: &Ending, flags: &mut super::args::DeliverArgs) {
    match ending {
        Ending::Print => {}
        Ending::Save(file) => flags.save = Some(file.into()),
        Ending::Apply => flags.apply = true,
    }
}
