use super::*;
use proptest::prelude::*;

/// An object with a few fields, as raw leaves would show it.
#[derive(Debug, Clone, PartialEq)]
struct Thing {
    fields: Vec<u32>,
    end: bool,
    rank: i64,
}

impl Snapshot for Thing {
    fn is_final(&self) -> bool {
        self.end
    }
    fn rank(&self) -> [i64; 3] {
        [self.rank, 0, 0]
    }
    fn inherit(&mut self, _: &Self) {}
}

fn leaf(position: usize, value: u32) -> u32 {
    u32::try_from(position).unwrap() * 1000 + value
}

fn leaves(fields: &[u32]) -> Leaves {
    Leaves::new(
        fields
            .iter()
            .enumerate()
            .map(|(i, v)| leaf(i, *v))
            .collect(),
    )
}

fn version(at: i64, event: u64, fields: &[u32], before: Option<&[u32]>) -> Version<Thing> {
    let previous = before.map(|before| {
        let changed = before.iter().enumerate().filter(|(i, v)| fields[*i] != **v);
        Leaves::new(changed.map(|(i, v)| leaf(i, *v)).collect())
    });
    Version {
        since: None,
        at: Timestamp::from_unix(at).unwrap(),
        content: fields.iter().fold(7, |hash, f| hash * 1009 + u64::from(*f)),
        leaves: leaves(fields),
        steps: vec![Step {
            event,
            creation: previous.is_none(),
            previous,
        }],
        object: Thing {
            fields: fields.to_vec(),
            end: false,
            rank: 0,
        },
    }
}

fn fold(versions: impl IntoIterator<Item = Version<Thing>>) -> Tracked<Thing> {
    let mut versions = versions.into_iter();
    let mut tracked = Tracked::first(versions.next().unwrap());
    for version in versions {
        tracked.observe(version);
    }
    tracked
}

/// A history: states one after the other, some within one second, as (second, fields).
fn history(seconds: &[i64], states: &[Vec<u32>]) -> Vec<Version<Thing>> {
    let before = std::iter::once(None).chain(states.iter().map(|s| Some(s.as_slice())));
    let event = 1..;
    seconds
        .iter()
        .zip(states)
        .zip(before)
        .zip(event)
        .map(|(((at, state), before), event)| version(*at, event, state, before))
        .collect()
}

#[test]
fn d7_the_newest_second_wins_and_a_creation_never_overwrites() {
    let steps = history(&[1, 2], &[vec![1], vec![2]]);
    assert_eq!(fold(steps.clone()).get().fields, [2]);
    let mut tracked = fold(steps.clone().into_iter().rev());
    assert_eq!(tracked.get().fields, [2]);
    assert_eq!(tracked.observe(steps[0].clone()), Disposition::Stale);
    assert_eq!(tracked.observe(steps[1].clone()), Disposition::Known);

    let same_second = history(&[5, 5], &[vec![1], vec![2]]);
    assert_eq!(fold(same_second.clone()).get().fields, [2]);
    assert_eq!(fold(same_second.into_iter().rev()).get().fields, [2]);
}

#[test]
fn d8_there_and_back_within_one_second() {
    let steps = history(&[5, 5, 5], &[vec![1, 9], vec![2, 9], vec![1, 9]]);
    for order in [
        [0, 1, 2],
        [2, 1, 0],
        [1, 0, 2],
        [1, 2, 0],
        [0, 2, 1],
        [2, 0, 1],
    ] {
        let tracked = fold(order.map(|i| steps[i].clone()));
        assert_eq!(tracked.get().fields, [1, 9], "{order:?}");
        assert!(!tracked.is_undecided());
    }
}

/// Every order of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    (0..count).fold(vec![Vec::new()], |orders, next| {
        let longer = |order: &Vec<usize>| {
            let order = order.clone();
            (0..=order.len()).map(move |place| {
                let mut order = order.clone();
                order.insert(place, next);
                order
            })
        };
        orders.iter().flat_map(longer).collect()
    })
}

#[test]
fn d8_there_and_back_ends_where_the_second_before_left_off() {
    let steps = history(&[1, 4, 5, 5], &[vec![3], vec![1], vec![2], vec![1]]);
    for order in orders(steps.len()) {
        let tracked = fold(order.iter().map(|i| steps[*i].clone()));
        assert_eq!(tracked.get().fields, [1], "{order:?}");
        assert!(!tracked.is_undecided());
    }
    let alone = fold(steps[2..].iter().cloned());
    assert!(alone.is_undecided());
}

#[test]
fn d8_an_event_that_only_shows_the_object_changes_nothing() {
    let mut steps = history(&[4, 5, 5], &[vec![1], vec![2], vec![1]]);
    let mut showing = version(5, 9, &[1], None);
    showing.steps[0].creation = false;
    steps.push(showing);
    for order in orders(steps.len()) {
        let tracked = fold(order.iter().map(|i| steps[*i].clone()));
        assert_eq!(tracked.get().fields, [1], "{order:?}");
        assert!(!tracked.is_undecided());
    }
}

#[test]
fn d8_more_than_is_kept_of_a_second_is_marked() {
    let states: Vec<Vec<u32>> = (0..12).map(|n| vec![n]).collect();
    let steps = history(&[5; 12], &states);
    let forward = fold(steps.clone());
    let backward = fold(steps.into_iter().rev());
    assert!(forward.is_undecided());
    assert_eq!(forward, backward);
    let mut next = forward;
    next.observe(version(6, 99, &[1], None));
    assert!(!next.is_undecided());
}

#[test]
fn d8_once_more_there_or_told_twice_is_marked() {
    let steps = history(&[5; 4], &[vec![1], vec![2], vec![1], vec![2]]);
    let tracked = fold(steps);
    assert!(tracked.is_undecided());
}

#[test]
fn d8_what_no_event_can_tell_is_marked() {
    let mut one = version(5, 1, &[1], None);
    let mut two = version(5, 2, &[2], None);
    one.steps[0].creation = false;
    two.steps[0].creation = false;
    let forward = fold([one.clone(), two.clone()]);
    let backward = fold([two, one]);
    assert!(forward.is_undecided() && backward.is_undecided());
    assert_eq!(forward.get(), backward.get());
}

#[test]
fn d14_a_final_state_never_comes_back() {
    let mut ended = version(3, 1, &[1], None);
    ended.object.end = true;
    let later = version(9, 2, &[2], None);
    assert!(fold([ended.clone(), later.clone()]).get().end);
    assert!(fold([later, ended]).get().end);
}

#[test]
fn rank_decides_within_a_second_but_not_across() {
    let mut high = version(3, 1, &[1], None);
    high.object.rank = 2;
    assert_eq!(
        fold([high.clone(), version(3, 2, &[2], None)]).get().fields,
        [1]
    );
    assert_eq!(fold([version(4, 2, &[2], None), high]).get().fields, [2]);
}

#[test]
fn absent_is_not_null() {
    let at = |s| Timestamp::from_unix(s).unwrap();
    let mut field = Seen::new(at(9), None::<Option<u8>>);
    field.inherit(&Seen::new(at(1), Some(Some(1))));
    field.inherit(&Seen::new(at(3), Some(None)));
    field.inherit(&Seen::new(at(2), Some(Some(2))));
    assert_eq!(field.get(), &None);
}

/// Two answers of Stripe from the same seconds, each with a field that the other was not asked for.
#[test]
fn d8_answers_that_do_not_contradict_each_other_are_one() {
    #[derive(Debug, Clone, PartialEq)]
    struct Answer {
        listed: Seen<u32>,
        alone: Seen<u32>,
    }
    impl Snapshot for Answer {
        fn is_final(&self) -> bool {
            false
        }
        fn inherit(&mut self, other: &Self) {
            self.listed.inherit(&other.listed);
            self.alone.inherit(&other.alone);
        }
    }
    let answer = |at, since: Option<i64>, content, listed, alone| {
        let at = Timestamp::from_unix(at).unwrap();
        Version {
            at,
            since: since.map(|since| Timestamp::from_unix(since).unwrap()),
            content,
            leaves: Leaves::default(),
            steps: Vec::new(),
            object: Answer {
                listed: Seen::new(at, listed),
                alone: Seen::new(at, alone),
            },
        }
    };
    let event = answer(1, None, 1, Some(1), Some(1));
    let list = answer(9, Some(8), 2, Some(2), None);
    let single = answer(9, Some(8), 3, Some(2), Some(3));
    let fold = |order: &[Version<Answer>]| {
        let mut tracked = Tracked::first(order[0].clone());
        for version in &order[1..] {
            tracked.observe(version.clone());
        }
        tracked
    };
    for order in orders(3) {
        let versions = [&event, &list, &single];
        let order: Vec<_> = order.iter().map(|place| versions[*place].clone()).collect();
        let tracked = fold(&order);
        assert_eq!(
            (*tracked.get().listed.get(), *tracked.get().alone.get()),
            (2, 3)
        );
        assert!(!tracked.is_undecided());
    }
    // Two answers that do contradict each other leave it open.
    let other = answer(9, Some(8), 4, Some(5), None);
    assert!(fold(&[list, other]).is_undecided());
}

#[test]
fn leaves_survive_storage() {
    let stored = leaves(&[3, 1, 2]);
    let text = serde_json::to_string(&stored).unwrap();
    assert_eq!(serde_json::from_str::<Leaves>(&text).unwrap(), stored);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn d8_any_order_and_duplication_gives_the_true_end(
        (states, seconds, order) in (1_usize..7).prop_flat_map(|n| (
            proptest::collection::vec(proptest::collection::vec(0_u32..3, 3), n),
            proptest::collection::vec(0_i64..3, n),
            proptest::collection::vec(0_usize..n, 0..n).prop_flat_map(move |extra| {
                Just((0..n).chain(extra).collect::<Vec<_>>()).prop_shuffle()
            }),
        ))
    ) {
        let mut seconds = seconds;
        seconds.sort_unstable();
        let mut states = states;
        states.dedup();
        seconds.truncate(states.len());
        let steps = history(&seconds, &states);
        let tracked = fold(order.iter().filter_map(|i| steps.get(*i)).cloned());
        let straight = fold(steps.iter().cloned());
        prop_assert_eq!(tracked.get(), straight.get());
        prop_assert_eq!(tracked.is_undecided(), straight.is_undecided());
        if !tracked.is_undecided() {
            prop_assert_eq!(&tracked.get().fields, states.last().unwrap());
        }
    }
}
