//! Whether the bars were met.

use std::process::ExitCode;

/// Prints the rows, and remembers how many missed their bar.
#[derive(Debug, Default)]
pub struct Verdict {
    missed: usize,
}

impl Verdict {
    /// One row, and whether it met its bar.
    pub fn row(&mut self, shown: &str, met: bool) {
        println!("{shown}  {}", if met { "ok" } else { "MISSED" });
        self.missed += usize::from(!met);
    }

    /// The last line, and what the program ends with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        println!();
        match self.missed {
            0 => {
                println!("every bar is met");
                ExitCode::SUCCESS
            }
            missed => {
                println!("bars missed: {missed}");
                ExitCode::FAILURE
            }
        }
    }
}
