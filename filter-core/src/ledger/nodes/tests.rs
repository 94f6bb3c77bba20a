use std::collections::BTreeMap;

use filter_common::source::Address;
use proptest::{collection::vec, prelude::*};

use super::*;

/// Operations on nodes; numbers stand for prefixes.
#[derive(Clone, Debug)]
enum Step {
    GetOrAdd(u16),
    Add(Vec<u16>),
    Remove(Vec<u16>),
}

fn numbers() -> impl Strategy<Value = Vec<u16>> {
    let dense = (any::<u16>(), 0u16..1_500)
        .prop_map(|(from, many)| (0..many).map(|add| from.wrapping_add(add)).collect());
    prop_oneof![dense, vec(any::<u16>(), 0..8), vec(any::<u16>(), 0..1_000)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u16>().prop_map(Step::GetOrAdd),
        numbers().prop_map(Step::Add),
        numbers().prop_map(Step::Remove),
    ]
}

fn prefix(number: u16) -> Prefix {
    let [high, low] = number.to_be_bytes();
    // Some cover others.
    let length = if low == 0 { 24 } else { 32 };
    Prefix::new(Address::v4([10, 0, high, low]), length)
}

fn node(number: u16) -> Node {
    Node {
        first: u32::from(number) + 1,
        ..Node::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nodes_are_what_a_tree_would_be(
        steps in vec(step(), 1..12),
        looks in vec(any::<u16>(), 100),
    ) {
        let mut nodes = Nodes::default();
        let mut tree = BTreeMap::<Prefix, Node>::new();
        for step in steps {
            match step {
                Step::GetOrAdd(number) => {
                    let one = nodes.get_or_add(prefix(number));
                    let other = tree.entry(prefix(number)).or_default();
                    prop_assert_eq!(*one, *other);
                    (*one, *other) = (node(number), node(number));
                }
                Step::Add(numbers) => {
                    let mut fresh = BTreeMap::new();
                    for number in numbers {
                        if !tree.contains_key(&prefix(number)) {
                            fresh.insert(prefix(number), node(number));
                        }
                    }
                    tree.extend(&fresh);
                    let mut builder = Builder::default();
                    fresh.into_iter().for_each(|pair| builder.push(pair));
                    nodes.add(builder.finish());
                }
                Step::Remove(numbers) => {
                    let mut gone: Vec<_> = numbers.into_iter().map(prefix).collect();
                    gone.retain(|prefix| tree.remove(prefix).is_some());
                    for prefix in &gone {
                        nodes.get_or_add(*prefix).first = 0;
                    }
                    gone.sort();
                    nodes.remove(&gone);
                }
            }
            prop_assert_eq!(nodes.len(), tree.len());
            prop_assert!(nodes.range(..).map(|(prefix, node)| (prefix, node)).eq(&tree));
            prop_assert!(nodes.blocks.iter().all(|block| (1..=BLOCK).contains(&block.len())));
            let firsts = nodes.blocks.iter().map(|block| &block[0].0);
            prop_assert!(firsts.eq(&nodes.firsts));
        }
        let mut place = Place::default();
        for looks in looks.windows(2) {
            let (from, to) = (prefix(looks[0].min(looks[1])), prefix(looks[0].max(looks[1])));
            prop_assert_eq!(nodes.get(&from), tree.get(&from));
            prop_assert_eq!(nodes.seek(&mut place, &to), tree.get(&to));
            let one: Vec<_> = nodes.range(from..=to).copied().collect();
            let other: Vec<_> = tree.range(from..=to).map(|(prefix, node)| (*prefix, *node)).collect();
            prop_assert_eq!(&one, &other);
            let one: Vec<_> = nodes.range_mut(from..=to).map(|(prefix, node)| (prefix, *node)).collect();
            prop_assert_eq!(&one, &other);
            if from < to {
                let bounds = (Bound::Excluded(from), Bound::Excluded(to));
                let one = nodes.range(bounds).map(|(prefix, node)| (prefix, node));
                prop_assert!(one.eq(tree.range(bounds)));
            }
        }
        for (prefix, node) in &tree {
            prop_assert_eq!(nodes.seek(&mut place, prefix), Some(node));
        }
    }
}
