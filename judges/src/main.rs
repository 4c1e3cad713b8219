//! Writes the corpus: `cargo run -p judges`. It is the same each time; a test looks that it is what lies there.

use judges::corpus::{all, folder};

fn main() -> std::io::Result<()> {
    let folder = folder();
    std::fs::create_dir_all(&folder)?;
    for (name, text) in all() {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}
