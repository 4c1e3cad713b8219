//! The guide shows this program, all of it.

#[test]
fn the_guide_shows_this_program() {
    let (guide, program) = (include_str!("../../../src/guide/mcp.md"), include_str!("../src/main.rs"));
    assert!(guide.contains(&format!("```rs\n{program}```\n")), "src/guide/mcp.md shows another program");
}
