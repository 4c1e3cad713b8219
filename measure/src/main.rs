//! `measure bearer`: what the bearer layer costs, beside a hand-written look-up. Run by `scripts/measure`.

mod bearer;

use std::process::ExitCode;

use measure::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("bearer") => bearer::run(),
        _ => {
            eprintln!("usage: measure bearer");
            ExitCode::FAILURE
        }
    }
}
