//! The drawing of a saga's steps as SVG: left to right by dependency, or downwards on narrow screens; forward edges solid,
//! what was undone dashed; the pivot with a double border. Pure: steps in, a drawing out.

use std::collections::BTreeMap;

use askama::Template;
use contract::{
    StepName,
    orchestrator_api::{StepShape, StepView},
    saga::{StepKind, StepStatus},
};

use super::{
    marks::{self, Mark},
    rows::SagaRow,
};

/// A node's width and height, and the room between two, in pixels.
const NODE: (u32, u32) = (156, 48);
const GAP: (u32, u32) = (28, 18);
/// The room around the drawing: the pivot's second border and the focus need some.
const MARGIN: u32 = 8;
/// The longest name that fits into a node, in characters.
const NAME_MAX: usize = 18;

/// One step as the drawing needs it.
pub(crate) struct Node {
    pub(crate) name: String,
    after: Vec<StepName>,
    pivot: bool,
    mark: Option<Mark>,
    /// The second line: attempts, or what the step does.
    detail: String,
    undone: bool,
    /// The address of the child saga that the step started.
    leads_to: Option<String>,
}

impl Node {
    fn of_step(step: &StepView) -> Self {
        let mark = marks::of_step(step);
        let again = if step.attempts > 1 { format!(", attempt {}", step.attempts) } else { String::new() };
        Self {
            name: step.name.to_string(),
            after: step.after.clone(),
            pivot: step.kind == StepKind::Pivot,
            mark: Some(mark),
            detail: format!("{}{again}", mark.word),
            undone: matches!(step.status, StepStatus::Compensating | StepStatus::Compensated),
            leads_to: None,
        }
    }

    pub(crate) fn of_shape(step: &StepShape) -> Self {
        Self {
            name: step.name.to_string(),
            after: step.after.clone(),
            pivot: step.kind == StepKind::Pivot,
            mark: None,
            detail: match step.kind {
                StepKind::Compensatable => "can be undone",
                StepKind::Pivot => "pivot",
                StepKind::Retriable => "must succeed",
            }
            .to_owned(),
            undone: false,
            leads_to: None,
        }
    }
}

/// Lets the node of a step lead to the child that the step started, and tell how that stands.
pub(crate) fn lead(nodes: &mut [Node], step: &str, child: &SagaRow) {
    if let Some(node) = nodes.iter_mut().find(|node| node.name == step) {
        node.detail = format!("{}: {}", child.flow, child.mark.word);
        node.leads_to = Some(child.address.clone());
    }
}

/// The steps of one saga that it needs: one that it does not need is left out, and what waits for it waits for what it
/// waited for.
pub(crate) fn needed(steps: &[StepView]) -> Vec<Node> {
    let mut behind: BTreeMap<&str, Vec<StepName>> = BTreeMap::new();
    let mut nodes = Vec::new();
    for step in steps {
        let mut after: Vec<StepName> = Vec::new();
        for before in &step.after {
            match behind.get(before.as_str()) {
                Some(further) => after.extend(further.iter().cloned()),
                None => after.push(before.clone()),
            }
        }
        after.sort();
        after.dedup();
        if step.status == StepStatus::NotApplicable {
            behind.insert(step.name.as_str(), after);
        } else {
            nodes.push(Node { after, ..Node::of_step(step) });
        }
    }
    nodes
}

/// The direction in which a drawing grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Right,
    Down,
}

/// A node in its place.
struct Placed {
    x: u32,
    y: u32,
    class: &'static str,
    icon: &'static str,
    name: String,
    full: String,
    detail: String,
    pivot: bool,
    leads_to: Option<String>,
}

/// The line from one node to another.
#[derive(Debug, PartialEq, Eq)]
struct Edge {
    path: String,
    undone: bool,
}

/// A drawing in one direction.
#[derive(Template)]
#[template(path = "graph.html")]
struct Drawing {
    class: &'static str,
    width: u32,
    height: u32,
    nodes: Vec<Placed>,
    edges: Vec<Edge>,
}

impl Drawing {
    /// A drawing with a link is no single picture.
    fn role(&self) -> &'static str {
        if self.nodes.iter().any(|node| node.leads_to.is_some()) { "group" } else { "img" }
    }
}

/// Both drawings; the styles show the one that fits.
pub(crate) fn draw(nodes: &[Node]) -> Result<String, askama::Error> {
    let wide = place(nodes, Direction::Right).render()?;
    Ok(wide + &place(nodes, Direction::Down).render()?)
}

fn place(nodes: &[Node], direction: Direction) -> Drawing {
    let ranks = ranks(nodes);
    let mut used: BTreeMap<usize, u32> = BTreeMap::new();
    let mut places: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let at = |column: u32, row: u32| (MARGIN + column * (NODE.0 + GAP.0), MARGIN + row * (NODE.1 + GAP.1));
    for (node, rank) in nodes.iter().zip(&ranks) {
        let lane = used.entry(*rank).or_default();
        let rank = u32::try_from(*rank).unwrap_or(u32::MAX);
        let (column, row) = match direction {
            Direction::Right => (rank, *lane),
            Direction::Down => (*lane, rank),
        };
        places.insert(&node.name, at(column, row));
        *lane += 1;
    }
    let width = places.values().map(|(x, _)| x + NODE.0 + MARGIN).max().unwrap_or_default();
    let height = places.values().map(|(_, y)| y + NODE.1 + MARGIN).max().unwrap_or_default();
    let edges = edges(nodes, &places, direction);
    let nodes = nodes.iter().filter_map(|node| Some(placed(node, *places.get(node.name.as_str())?))).collect();
    let class = match direction {
        Direction::Right => "wide",
        Direction::Down => "narrow",
    };
    Drawing { class, width, height, nodes, edges }
}

fn placed(node: &Node, (x, y): (u32, u32)) -> Placed {
    let cut = node.name.chars().count() > NAME_MAX;
    let name = if cut { node.name.chars().take(NAME_MAX - 1).chain(['…']).collect() } else { node.name.clone() };
    Placed {
        x,
        y,
        class: node.mark.map_or("plain", |mark| mark.class),
        icon: node.mark.map_or("", |mark| mark.icon),
        name,
        full: node.name.clone(),
        detail: node.detail.clone(),
        pivot: node.pivot,
        leads_to: node.leads_to.clone(),
    }
}

/// The column of each step: one more than that of the last step that it waits for. Steps come after their dependencies.
fn ranks(nodes: &[Node]) -> Vec<usize> {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for node in nodes {
        let before = node.after.iter().filter_map(|name| known.get(name.as_str()).map(|rank| rank + 1)).max();
        known.insert(&node.name, before.unwrap_or_default());
    }
    nodes.iter().map(|node| known.get(node.name.as_str()).copied().unwrap_or_default()).collect()
}

fn edges(nodes: &[Node], places: &BTreeMap<&str, (u32, u32)>, direction: Direction) -> Vec<Edge> {
    let pairs = nodes.iter().flat_map(|node| node.after.iter().map(move |before| (before.as_str(), node)));
    let drawn = pairs.filter_map(|(before, node)| {
        let (from, to) = (*places.get(before)?, *places.get(node.name.as_str())?);
        Some(Edge { path: curve(from, to, direction), undone: node.undone })
    });
    drawn.collect()
}

fn curve(from: (u32, u32), to: (u32, u32), direction: Direction) -> String {
    match direction {
        Direction::Right => {
            let (x, y, end, level) = (from.0 + NODE.0, from.1 + NODE.1 / 2, to.0, to.1 + NODE.1 / 2);
            let bend = end.saturating_sub(GAP.0 / 2);
            format!("M{x} {y} C{bend} {y} {bend} {level} {end} {level}")
        }
        Direction::Down => {
            let (x, y, end, level) = (from.0 + NODE.0 / 2, from.1 + NODE.1, to.0 + NODE.0 / 2, to.1);
            let bend = level.saturating_sub(GAP.1 / 2);
            format!("M{x} {y} C{x} {bend} {end} {bend} {end} {level}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, after: &[&str]) -> Node {
        let after = after.iter().map(|name| StepName::new(name).unwrap()).collect();
        Node {
            name: name.to_owned(),
            after,
            pivot: false,
            mark: None,
            detail: String::new(),
            undone: false,
            leads_to: None,
        }
    }

    fn diamond() -> Vec<Node> {
        vec![node("a", &[]), node("b", &["a"]), node("c", &["a"]), node("d", &["b", "c"])]
    }

    #[test]
    fn a_step_stands_behind_all_that_it_waits_for_and_beside_what_runs_with_it() {
        assert_eq!(ranks(&diamond()), [0, 1, 1, 2]);
        let drawing = place(&diamond(), Direction::Right);
        let place_of = |name: &str| drawing.nodes.iter().find(|node| node.full == name).map(|node| (node.x, node.y));
        assert_eq!(place_of("b").unwrap().0, place_of("c").unwrap().0);
        assert!(place_of("b").unwrap().1 < place_of("c").unwrap().1);
        assert_eq!(drawing.edges.len(), 4);
    }

    #[test]
    fn a_step_that_is_not_needed_is_left_out_and_passes_its_dependencies_on() {
        let step = |name: &str, after: &[&str], status: &str| -> StepView {
            serde_json::from_value(serde_json::json!({
                "name": name, "kind": "retriable", "work": "timer", "after": after, "status": status, "attempts": 0,
            }))
            .unwrap()
        };
        let steps = [step("a", &[], "done"), step("b", &["a"], "not_applicable"), step("c", &["a", "b"], "pending")];
        let nodes = needed(&steps);
        assert_eq!(nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(nodes[1].after, [StepName::new("a").unwrap()]);
    }

    #[test]
    fn the_narrow_drawing_grows_downwards() {
        let wide = place(&diamond(), Direction::Right);
        let narrow = place(&diamond(), Direction::Down);
        assert!(narrow.width < wide.width && narrow.height > wide.height);
    }

    #[test]
    fn a_name_cannot_break_out_of_the_drawing() {
        let mut evil = node("a", &[]);
        evil.detail = "<script>".to_owned();
        assert!(!draw(&[evil]).unwrap().contains("<script>"));
    }
}
