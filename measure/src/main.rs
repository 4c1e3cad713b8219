//! `measure bearer`: what the bearer layer costs, beside a hand-written look-up. `measure stores`: what each store costs,
//! beside its database alone. Run by `scripts/measure`.

mod bearer;
#[cfg(feature = "stores")]
mod stores;

use std::process::ExitCode;

use measure::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("bearer") => bearer::run(),
        #[cfg(feature = "stores")]
        Some("stores") => stores::run(std::env::args().nth(2).as_deref()),
        _ => {
            eprintln!("usage: measure bearer or stores");
            ExitCode::FAILURE
        }
    }
}
