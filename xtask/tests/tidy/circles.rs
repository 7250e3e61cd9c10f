//! Files import downwards: no circle among the files of a package. A type that two files need lives below both.
//!
//! An import is a name that one file takes from another through `use` or a written path (`crate::`, `super::`,
//! `self::`, or a child's name). A re-export is looked through: who takes `crate::Error` from a `lib.rs` that hands it
//! on depends on the file that defines it. A parent that names its child's functions in an expression, as a table of
//! routes does, puts its children together and imports nothing from them; a name that it brings in by `use` is an
//! import. Tests are left out: they stand above what they test.

use std::collections::{BTreeMap, BTreeSet};

use crate::{files, nothing_wrong};

/// Re-exports of re-exports are followed so far; deeper ones would be a riddle to readers too.
const REEXPORTS_MAX: usize = 8;

/// Marks a `use` of everything in a module.
const EVERYTHING: &str = "*";

#[test]
fn files_import_downwards_only() {
    let mut roots = BTreeMap::new();
    for file in files::all() {
        let name = file.path.rsplit_once("/src/").map(|(package, name)| (package.to_owned(), name.to_owned()));
        if let Some((package, name)) = name.filter(|_| file.is_rust()) {
            roots.entry(package).or_insert_with(BTreeMap::new).insert(name, code_of(&file.text));
        }
    }
    let mut problems = Vec::new();
    for (package, sources) in &roots {
        for root in ["lib.rs", "main.rs"].into_iter().filter(|root| sources.contains_key(*root)) {
            problems
                .extend(circles(&Tree::new(sources, root).imports()).into_iter().map(|circle| shown(package, &circle)));
        }
    }
    nothing_wrong("Files import downwards only: these import each other in a circle.", problems);
}

/// Who imports what from whom: file, file, names.
type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// One package's modules, from one of its roots down.
struct Tree {
    modules: BTreeMap<Vec<String>, Module>,
}

/// A file as a module.
struct Module {
    file: String,
    code: String,
    uses: Vec<Use>,
}

/// One name that a `use` brings in.
struct Use {
    path: Vec<String>,
    name: String,
    /// Handed on to others, with whatever visibility.
    exported: bool,
}

impl Tree {
    fn new(sources: &BTreeMap<String, String>, root: &str) -> Self {
        let mut tree = Self { modules: BTreeMap::new() };
        tree.add(sources, Vec::new(), root.to_owned());
        tree
    }

    fn add(&mut self, sources: &BTreeMap<String, String>, path: Vec<String>, file: String) {
        let code = sources[&file].clone();
        let folder = path.join("/");
        for child in declared(&code) {
            let below = if folder.is_empty() { child.clone() } else { format!("{folder}/{child}") };
            let candidates = [format!("{below}.rs"), format!("{below}/mod.rs")];
            if let Some(found) = candidates.into_iter().find(|candidate| sources.contains_key(candidate)) {
                self.add(sources, [path.clone(), vec![child]].concat(), found);
            }
        }
        let uses = uses_of(&code);
        self.modules.insert(path, Module { file, code, uses });
    }

    fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (here, module) in &self.modules {
            let used = module.uses.iter().map(|found| (&found.path, found.exported));
            let written = paths_of(&module.code);
            for (path, exported) in used.chain(written.iter().map(|path| (path, true))) {
                let Some(there) = self.defines(here, path, 0) else { continue };
                // What a parent hands on or puts together from its children it does not need itself.
                let composed =
                    exported && there.starts_with(here) && path.first().is_some_and(|first| first != "crate");
                if there != *here && !composed {
                    let name = path.last().cloned().unwrap_or_default();
                    let to = imports.entry(module.file.clone()).or_default();
                    to.entry(self.modules[&there].file.clone()).or_default().insert(name);
                }
            }
        }
        imports
    }

    /// The module that defines what a path names, as seen from `here`; none when it lies outside of the package.
    fn defines(&self, here: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
        let (mut at, mut rest) = match path.first()?.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (here.to_vec(), &path[1..]),
            "super" => (here.split_last()?.1.to_vec(), &path[1..]),
            child => ([here, &[child.to_owned()]].concat(), &path[1..]),
        };
        while let Some((first, further)) = rest.split_first() {
            let child = [&at[..], std::slice::from_ref(first)].concat();
            match first.as_str() {
                "super" => at = at.split_last()?.1.to_vec(),
                "self" => {}
                _ if self.modules.contains_key(&child) => at = child,
                _ => break,
            }
            rest = further;
        }
        let module = self.modules.get(&at)?;
        let Some(name) = rest.first() else { return Some(at) };
        let handed_on = module.uses.iter().find(|found| found.name == *name);
        match handed_on {
            Some(found) if depth < REEXPORTS_MAX => {
                let path = [&found.path[..], &rest[1..]].concat();
                // What comes from outside is nobody's here.
                self.defines(&at, &path, depth + 1)
            }
            _ => Some(at),
        }
    }
}

/// The modules that a file declares by `mod name;`.
fn declared(code: &str) -> Vec<String> {
    let statements = code.split([';', '{', '}']).map(str::trim);
    let names = statements.filter_map(|statement| statement.rsplit_once("mod "));
    let whole = names.filter(|(before, name)| {
        before.chars().next_back().is_none_or(|last| last == ' ' || last == '\n') && is_word(name)
    });
    whole.map(|(_, name)| name.to_owned()).collect()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// Every name that the file's `use` declarations bring in.
fn uses_of(code: &str) -> Vec<Use> {
    let mut uses = Vec::new();
    for statement in code.split(';') {
        let Some((before, tree)) = last_use(statement) else { continue };
        let visibility = before.rsplit(['}', '{', ']']).next().unwrap_or_default();
        flatten(&[], tree.trim(), visibility.contains("pub"), &mut uses);
    }
    uses
}

/// A statement is split at its `use`, when there is one at the begin of a word and no other statement follows it.
fn last_use(statement: &str) -> Option<(&str, &str)> {
    let (at, _) = statement
        .match_indices("use ")
        .filter(|(at, _)| {
            let before = statement[..*at].chars().next_back();
            before.is_none_or(|letter| letter.is_whitespace() || letter == '}' || letter == '{')
        })
        .last()?;
    Some((&statement[..at], &statement[at + "use ".len()..]))
}

/// `a::{b, c::{self, d as e}}` as single paths.
fn flatten(before: &[String], tree: &str, exported: bool, uses: &mut Vec<Use>) {
    if let Some((head, list)) = tree.split_once('{').filter(|_| tree.ends_with('}')) {
        let path = [before, &segments(head)].concat();
        for branch in branches(&list[..list.len() - 1]) {
            flatten(&path, branch.trim(), exported, uses);
        }
        return;
    }
    let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias.trim())));
    let mut path = [before, &segments(path)].concat();
    if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
        path.pop();
    }
    if let Some(last) = path.last().cloned() {
        if last == EVERYTHING {
            path.pop();
        }
        uses.push(Use { path, name: alias.map_or(last, str::to_owned), exported });
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(str::trim).filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

/// Splits at the commas that stand in no braces.
fn branches(list: &str) -> Vec<&str> {
    let (mut found, mut depth, mut begin) = (Vec::new(), 0_usize, 0);
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.push(&list[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    found.push(&list[begin..]);
    found.retain(|branch| !branch.trim().is_empty());
    found
}

/// Paths that are written out in the code, outside of `use`.
fn paths_of(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for begin in ["crate::", "super::"] {
        for (at, _) in code.match_indices(begin) {
            let joined = code[..at]
                .chars()
                .next_back()
                .is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':');
            let statement = code[..at].rsplit([';', '}', '{']).next().unwrap_or_default();
            if joined || statement.contains("use ") || statement.trim_end().ends_with("in") {
                continue;
            }
            let written: String = code[at..]
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | ':'))
                .collect();
            paths.push(segments(&written));
        }
    }
    paths
}

/// A file's code without comments, the contents of texts, and what is compiled for tests only.
fn code_of(text: &str) -> String {
    let (mut code, mut rest) = (String::new(), text);
    while let Some(letter) = rest.chars().next() {
        let skipped = match letter {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            'r' if rest.starts_with("r\"") || rest.starts_with("r#") => raw_text(rest).unwrap_or(0),
            '"' => quoted(rest),
            '\'' => character(rest),
            _ => 0,
        };
        let skipped = if skipped == 0 {
            code.push(letter);
            letter.len_utf8()
        } else {
            skipped
        };
        rest = &rest[skipped..];
    }
    without_tests(&code)
}

/// The length of a raw text such as `r#"..."#`.
fn raw_text(rest: &str) -> Option<usize> {
    let fence: String = rest[1..].chars().take_while(|letter| *letter == '#').collect();
    let begin = 1 + fence.len();
    rest[begin..].starts_with('"').then_some(())?;
    let end = format!("\"{fence}");
    rest[begin + 1..].find(&end).map(|at| begin + 1 + at + end.len())
}

/// The length of a text in quotation marks.
fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// The length of a letter in quotation marks; 0 for a lifetime.
fn character(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    match letters.next() {
        Some((_, '\\')) => rest[2..].find('\'').filter(|at| *at < 12).map_or(0, |at| {
            // `'\''` ends at its second mark.
            if at == 0 { 4 } else { at + 3 }
        }),
        Some(_) => letters.next().filter(|(_, letter)| *letter == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

/// Takes out every item under `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let Some((before, item)) = code.split_once("#[cfg(test)]") else { return code.to_owned() };
    let mut depth = 0_usize;
    let end = item.char_indices().find_map(|(at, letter)| {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth == 0 && matches!(letter, '}' | ';')).then_some(at + 1)
    });
    format!("{before}{}", without_tests(&item[end.unwrap_or(item.len())..]))
}

/// The groups of files that reach each other, each with the imports that tie it.
fn circles(imports: &Imports) -> Vec<Imports> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        imports.keys().map(|from| (from, reach(imports, from))).collect();
    let mut groups: BTreeSet<BTreeSet<&String>> = BTreeSet::new();
    for (from, there) in &reached {
        let back = |to: &&String| reached.get(to).is_some_and(|further| further.contains(from));
        let group: BTreeSet<&String> = there.iter().copied().filter(back).collect();
        if !group.is_empty() {
            groups.insert(group);
        }
    }
    groups
        .into_iter()
        .map(|group| {
            let mut tied = Imports::new();
            for from in &group {
                let inside = imports[*from].iter().filter(|(to, _)| group.contains(to));
                tied.insert((*from).clone(), inside.map(|(to, names)| (to.clone(), names.clone())).collect());
            }
            tied
        })
        .collect()
}

/// All files that one can be led to by imports, itself only through a circle.
fn reach<'a>(imports: &'a Imports, from: &String) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&String> = imports.get(from).into_iter().flat_map(BTreeMap::keys).collect();
    while let Some(file) = next.pop() {
        if found.insert(file) {
            next.extend(imports.get(file).into_iter().flat_map(BTreeMap::keys));
        }
    }
    found
}

fn shown(package: &str, circle: &Imports) -> String {
    let mut lines = Vec::new();
    for (from, imports) in circle {
        for (to, names) in imports {
            let names = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            lines.push(format!("  {from} takes from {to}: {names}"));
        }
    }
    format!("{package}/src:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sources: &[(&str, &str)]) -> Vec<String> {
        let sources = sources.iter().map(|(file, text)| ((*file).to_owned(), code_of(text))).collect();
        circles(&Tree::new(&sources, "lib.rs").imports()).iter().map(|circle| shown("x", circle)).collect()
    }

    #[test]
    fn two_files_that_take_names_from_each_other_are_a_circle_with_those_names() {
        let circle = told(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::{self, Two};"),
            ("b.rs", "pub struct Two; fn f() { super::a::one(); }"),
        ]);
        assert_eq!(circle, ["x/src:\n  a.rs takes from b.rs: Two, b\n  b.rs takes from a.rs: one"]);
    }

    #[test]
    fn a_name_that_is_handed_on_comes_from_where_it_is_defined() {
        let lib = "mod a; mod b; pub use a::One; pub(crate) use b::Two as Second;";
        assert_eq!(told(&[("lib.rs", lib), ("a.rs", "use crate::Second;"), ("b.rs", "use std::fmt;")]), [""; 0]);
        let circle = told(&[("lib.rs", lib), ("a.rs", "use crate::Second;"), ("b.rs", "use crate::One;")]);
        assert_eq!(circle, ["x/src:\n  a.rs takes from b.rs: Second\n  b.rs takes from a.rs: One"]);
    }

    #[test]
    fn a_parent_may_put_its_children_together_but_not_live_on_them_while_they_live_on_it() {
        let child = "use super::Api; pub fn list(_: Api) {}";
        assert_eq!(told(&[("lib.rs", "mod a; struct Api; fn f() { g(a::list); }"), ("a.rs", child)]), [""; 0]);
        assert_eq!(told(&[("lib.rs", "mod a; use a::list; struct Api;"), ("a.rs", child)]).len(), 1);
    }

    #[test]
    fn tests_texts_and_comments_import_nothing() {
        let a = "// use crate::b::One;\nconst X: &str = \"use crate::b::One;\"; const Y: char = '\"';
                 fn f<'a>() {} #[cfg(test)] mod tests { use crate::b::One; fn g() { } } fn last() {}";
        assert_eq!(told(&[("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", "use crate::a::last;")]), [""; 0]);
    }
}
