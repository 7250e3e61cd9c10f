//! The drawings in `docs/sagas/` are made from the definitions and kept fresh here.
//! `UPDATE_DIAGRAMS=1 cargo nextest run -p catalog` draws them anew.

use std::{fs, path::Path};

#[test]
fn every_saga_has_a_fresh_drawing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sagas");
    for definition in catalog::all().unwrap().iter() {
        let (name, version) = (definition.name(), definition.version());
        let path = folder.join(format!("{name}-v{version}.md"));
        let drawing = machine::mermaid(definition);
        let page = format!(
            "# The `{name}` saga, version {version}\n\nMade from the definition by `sagas/catalog/tests`; do not edit.\n\n```mermaid\n{drawing}```\n"
        );
        if std::env::var_os("UPDATE_DIAGRAMS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &page).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(kept, page, "{} is stale: run with UPDATE_DIAGRAMS=1", path.display());
    }
}
