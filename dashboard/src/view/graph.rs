//! The drawing of a saga's steps as SVG: left to right by dependency, or downwards on narrow screens; forward edges solid,
//! the way back of what was undone dashed below them; the pivot with a double border and a flag. Pure: steps in, a drawing out.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use contract::{
    Op, StepName,
    orchestrator_api::{StepShape, StepView, Timeline},
    saga::{StepKind, StepStatus},
};

use super::{
    marks::{self, Mark},
    rows::SagaRow,
    times,
};

/// A node's width and height, and the room between two, in pixels.
const NODE: (u32, u32) = (156, 48);
const GAP: (u32, u32) = (28, 18);
/// The room around the drawing: the pivot's second border, its flag and the focus need some.
const MARGIN: u32 = 16;
/// So many nodes stand in a line of a drawing that grows to the right; further ones stand in a line below, so that all can be read
/// without scrolling. Six fill the page of most screens.
const COLUMNS_MAX: usize = 6;
/// The room between two lines, beside that between two nodes.
const LINE_GAP: u32 = 22;
/// How far a way to another line goes beside a node before it turns.
const TURN: u32 = 10;
/// How far the dashed way back of what was undone lies from the way there.
const BACK: u32 = 10;
/// The width to which a drawing is shrunk on narrower screens, as the styles say; from there on it is scrolled.
const SHRUNK_TO: u32 = 720;
/// The longest name that fits into a node, in characters.
const NAME_MAX: usize = 18;
/// The longest line below the name, in characters of a smaller size.
const DETAIL_MAX: usize = 21;

/// One step as the drawing needs it.
pub(crate) struct Node {
    pub(crate) name: String,
    after: Vec<StepName>,
    pivot: bool,
    mark: Option<Mark>,
    /// The second line: attempts, or what the step does.
    detail: String,
    /// The time that it took, once it is done.
    took: Option<String>,
    undone: bool,
    /// The address of the child saga that the step started.
    leads_to: Option<String>,
}

impl Node {
    fn of_step(step: &StepView) -> Self {
        let mark = marks::of_step(step);
        let again = if step.attempts > 1 { format!(" ×{}", step.attempts) } else { String::new() };
        Self {
            name: step.name.to_string(),
            after: step.after.clone(),
            pivot: step.kind == StepKind::Pivot,
            mark: Some(mark),
            detail: format!("{}{again}", mark.word),
            took: None,
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
            took: None,
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

/// Lets the nodes of steps that are done tell how long they took, from the first attempt on.
pub(crate) fn time(nodes: &mut [Node], steps: &[StepView], timeline: &Timeline) {
    for node in nodes {
        let step = steps.iter().find(|step| step.name.as_str() == node.name && step.status == StepStatus::Done);
        let Some(step) = step else { continue };
        let spans = timeline.spans.iter().filter(|span| span.step == step.name && span.op == Op::Action);
        let bounds = spans.clone().map(|span| span.from).min().zip(spans.filter_map(|span| span.until).max());
        node.took = bounds.map(|(from, until)| times::span(until - from));
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
    detail: String,
    /// All that is known of it, where it is pointed at.
    title: String,
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
    /// True for a drawing that nothing is gained by stretching: its letters would be larger than those of the others.
    const fn is_short(&self) -> bool {
        self.width < SHRUNK_TO
    }

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

/// The place of a node, and of the line that it stands in.
#[derive(Debug, Clone, Copy)]
struct Spot {
    x: u32,
    y: u32,
    line: usize,
    /// The upper edge of the line.
    top: u32,
}

fn place(nodes: &[Node], direction: Direction) -> Drawing {
    let ranks = ranks(nodes);
    let count = ranks.iter().max().map_or(0, |last| last + 1);
    // Lines of about the same length.
    let columns = match direction {
        Direction::Right => count.div_ceil(count.div_ceil(COLUMNS_MAX).max(1)).max(1),
        Direction::Down => count.max(1),
    };
    let mut lanes: BTreeMap<usize, u32> = BTreeMap::new();
    ranks.iter().for_each(|rank| *lanes.entry(*rank).or_default() += 1);
    let height = |line: usize| (line * columns..(line + 1) * columns).filter_map(|rank| lanes.get(&rank)).max();
    let top = |line: usize| {
        let above = (0..line).filter_map(&height).map(|lanes| lanes * (NODE.1 + GAP.1) + LINE_GAP);
        MARGIN + above.sum::<u32>()
    };
    let mut used: BTreeMap<usize, u32> = BTreeMap::new();
    let mut places: BTreeMap<&str, Spot> = BTreeMap::new();
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    for (node, rank) in nodes.iter().zip(&ranks) {
        let lane = used.entry(*rank).or_default();
        let (line, within) = (rank / columns, number(rank % columns));
        let (column, row) = match direction {
            Direction::Right => (within, *lane),
            Direction::Down => (*lane, within),
        };
        let top = top(line);
        let (x, y) = (MARGIN + column * (NODE.0 + GAP.0), top + row * (NODE.1 + GAP.1));
        places.insert(&node.name, Spot { x, y, line, top });
        *lane += 1;
    }
    let width = places.values().map(|spot| spot.x + NODE.0 + MARGIN).max().unwrap_or_default();
    let height = places.values().map(|spot| spot.y + NODE.1 + MARGIN).max().unwrap_or_default();
    let edges = edges(nodes, &places, direction);
    let spot = |node: &Node| places.get(node.name.as_str()).map(|spot| (spot.x, spot.y));
    let nodes = nodes.iter().filter_map(|node| Some(placed(node, spot(node)?))).collect();
    let class = match direction {
        Direction::Right => "wide",
        Direction::Down => "narrow",
    };
    Drawing { class, width, height, nodes, edges }
}

/// A text that fits into a node; the whole one is in the title.
fn cut(text: &str, max: usize) -> String {
    let fits = text.chars().count() <= max;
    if fits { text.to_owned() } else { text.chars().take(max - 1).chain(['…']).collect() }
}

fn placed(node: &Node, (x, y): (u32, u32)) -> Placed {
    // The number of attempts leaves no room for the time beside it.
    let beside = node.took.as_ref().filter(|_| node.leads_to.is_none() && !node.detail.contains('×'));
    let detail = beside.map_or_else(|| node.detail.clone(), |took| format!("{}, {took}", node.detail));
    let took = node.took.as_ref().filter(|_| beside.is_none()).map(|took| format!(", {took}"));
    let pivot = if node.pivot { "; the point of no return" } else { "" };
    Placed {
        title: format!("{}: {detail}{}{pivot}", node.name, took.unwrap_or_default()),
        x,
        y,
        class: node.mark.map_or("plain", |mark| mark.class),
        icon: node.mark.map_or("", |mark| mark.icon),
        name: cut(&node.name, NAME_MAX),
        detail: cut(&detail, DETAIL_MAX),
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

/// The steps that each one waits for, without those that others of them wait for: the ways to these say as much.
fn nearest(nodes: &[Node]) -> Vec<Vec<&str>> {
    let mut before: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for node in nodes {
        let farther = node.after.iter().filter_map(|name| before.get(name.as_str())).flatten().copied();
        let all: BTreeSet<&str> = farther.chain(node.after.iter().map(StepName::as_str)).collect();
        before.insert(&node.name, all);
    }
    let is_nearest = |all: &[&str], one: &str| {
        !all.iter().any(|other| before.get(other).is_some_and(|farther| farther.contains(one)))
    };
    let of = nodes.iter().map(|node| {
        let all: Vec<&str> = node.after.iter().map(StepName::as_str).collect();
        all.iter().copied().filter(|one| is_nearest(&all, one)).collect()
    });
    of.collect()
}

fn edges(nodes: &[Node], places: &BTreeMap<&str, Spot>, direction: Direction) -> Vec<Edge> {
    let pairs =
        nodes.iter().zip(nearest(nodes)).flat_map(|(node, nearest)| nearest.into_iter().map(move |one| (one, node)));
    let drawn = pairs.flat_map(|(before, node)| {
        let ends = places.get(before).copied().zip(places.get(node.name.as_str()).copied());
        ends.into_iter().flat_map(move |(from, to)| {
            let way = |aside, undone| Edge { path: curve(from, to, direction, aside), undone };
            [Some(way(0, false)), node.undone.then(|| way(BACK, true))].into_iter().flatten()
        })
    });
    drawn.collect()
}

/// The way from one node to another, so far below the middle, or right of it in a drawing that grows downwards.
fn curve(from: Spot, to: Spot, direction: Direction, aside: u32) -> String {
    match direction {
        Direction::Right => {
            let middle = NODE.1 / 2 + aside;
            let (x, y, end, level) = (from.x + NODE.0, from.y + middle, to.x, to.y + middle);
            if from.line != to.line {
                let (turn, between) = (TURN + aside / 2, to.top.saturating_sub((GAP.1 + LINE_GAP) / 2) + aside / 2);
                let back = end.saturating_sub(turn);
                return format!("M{x} {y} h{turn} V{between} H{back} V{level} H{end}");
            }
            let bend = end.saturating_sub(GAP.0 / 2);
            format!("M{x} {y} C{bend} {y} {bend} {level} {end} {level}")
        }
        Direction::Down => {
            let middle = NODE.0 / 2 + aside;
            let (x, y, end, level) = (from.x + middle, from.y + NODE.1, to.x + middle, to.y);
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
            took: None,
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
        let place_of = |name: &str| drawing.nodes.iter().find(|node| node.name == name).map(|node| (node.x, node.y));
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
    fn a_way_that_others_imply_is_not_drawn() {
        let nodes = [node("a", &[]), node("b", &["a"]), node("c", &["a", "b"]), node("d", &["a", "c"])];
        assert_eq!(nearest(&nodes), [vec![], vec!["a"], vec!["b"], vec!["c"]]);
        assert_eq!(nearest(&diamond())[3], ["b", "c"]);
    }

    #[test]
    fn a_long_saga_goes_on_in_a_line_below() {
        let names: Vec<String> = (0..9).map(|number| format!("s{number}")).collect();
        let chain: Vec<Node> = (0..9)
            .map(|at| {
                node(
                    &names[at],
                    &at.checked_sub(1).map(|before| names[before].as_str()).into_iter().collect::<Vec<_>>(),
                )
            })
            .collect();
        let drawing = place(&chain, Direction::Right);
        let rows: Vec<_> = drawing.nodes.iter().map(|node| node.y).collect();
        assert_eq!(rows, [16, 16, 16, 16, 16, 104, 104, 104, 104], "five, and four below them");
        assert_eq!((drawing.nodes[5].x, drawing.width), (16, 924));
        assert_eq!(drawing.edges[4].path, "M908 40 h10 V84 H6 V128 H16");
        assert!(place(&chain, Direction::Down).nodes.iter().all(|node| node.x == 16));
    }

    #[test]
    fn what_was_undone_has_a_dashed_way_back_below_the_way_there() {
        let mut nodes = diamond();
        nodes[1].undone = true;
        let drawing = place(&nodes, Direction::Right);
        let back: Vec<_> = drawing.edges.iter().filter(|edge| edge.undone).collect();
        assert_eq!((drawing.edges.len(), back.len()), (5, 1));
        assert_eq!(back[0].path, "M172 50 C186 50 186 50 200 50");
    }

    #[test]
    fn a_step_that_is_done_tells_how_long_it_took() {
        let step: StepView = serde_json::from_value(serde_json::json!({
            "name": "pay", "kind": "pivot", "work": "timer", "after": [], "status": "done", "attempts": 1,
        }))
        .unwrap();
        let timeline = serde_json::from_value(serde_json::json!({ "began_at": "1970-01-01T00:00:00Z", "spans": [
            { "step": "pay", "op": "action", "spent": "under_way", "attempt": 1, "from": "1970-01-01T00:00:01Z",
              "until": "1970-01-01T00:00:03Z", "end": "done" },
        ]}));
        let mut nodes = needed(std::slice::from_ref(&step));
        time(&mut nodes, &[step], &timeline.unwrap());
        let told = placed(&nodes[0], (0, 0));
        assert_eq!(told.detail, "done, 2 s");
        assert_eq!(told.title, "pay: done, 2 s; the point of no return");
        nodes[0].detail = "done ×3".to_owned();
        let told = placed(&nodes[0], (0, 0));
        assert_eq!(
            (told.detail.as_str(), told.title.as_str()),
            ("done ×3", "pay: done ×3, 2 s; the point of no return")
        );
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
