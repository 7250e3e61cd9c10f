//! The README's table of routes is the gateway's own list. With `UPDATE_README=1` the test writes the table anew.

use std::path::Path;

const BEGIN: &str =
    "<!-- routes: kept by a test; `UPDATE_README=1 cargo xtask test -p gateway readme` writes it anew -->\n";
const END: &str = "<!-- /routes -->";

#[test]
fn the_readme_lists_every_route() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(&readme).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the README has the marker of the routes");
    let (found, after) = rest.split_once(END).expect("the README has the end marker of the routes");
    let table = gateway::route_table();
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&readme, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, table, "run `UPDATE_README=1 cargo xtask test -p gateway readme`");
    }
}
