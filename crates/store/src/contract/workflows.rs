//! What grows while something runs: state pieces and output.

use super::{World, chunks, text};
use crate::{Command, Refusal};

/// Pieces take the numbers they name, and only if those are the next.
pub async fn pieces_are_numbered(world: &World) {
    let (one, other) = (world.id(), world.id());
    let append = |execution, at, pieces: &[&str]| Command::AppendPieces {
        execution,
        at,
        pieces: pieces.iter().map(|piece| text(piece)).collect(),
    };
    world.hold(1, vec![append(one, 0, &["a", "b"])]).await;
    for wrong in [0, 1, 3] {
        let refused = world.refuse(1, vec![append(one, wrong, &["x"])]).await;
        assert_eq!(refused, (0, Refusal::Changed), "{wrong}");
    }
    world
        .hold(1, vec![append(one, 2, &["c"]), append(other, 0, &["z"])])
        .await;
    let pieces = world.store.pieces(one).await.expect("readable");
    let expect = ["a", "b", "c"].iter().enumerate();
    let expect: Vec<_> = expect.map(|(at, piece)| (at as u64, text(piece))).collect();
    assert_eq!(pieces, expect);
    let pieces = world.store.pieces(other).await.expect("readable");
    assert_eq!(pieces, vec![(0, text("z"))]);
    assert!(
        world
            .store
            .pieces(world.id())
            .await
            .expect("readable")
            .is_empty()
    );
}

/// A snapshot takes the next number; what was before it is gone, and counting goes on.
pub async fn snapshots_replace_pieces(world: &World) {
    let execution = world.id();
    let append = |at, piece: &str| Command::AppendPieces {
        execution,
        at,
        pieces: vec![text(piece)],
    };
    let replace = |at, snapshot: &str| Command::ReplacePieces {
        execution,
        at,
        snapshot: text(snapshot),
    };
    world.hold(1, vec![append(0, "a"), append(1, "b")]).await;
    assert_eq!(
        world.refuse(2, vec![replace(1, "AB")]).await,
        (0, Refusal::Changed)
    );
    world.hold(2, vec![replace(2, "AB")]).await;
    let pieces = world.store.pieces(execution).await.expect("readable");
    assert_eq!(pieces, vec![(2, text("AB"))]);
    assert_eq!(
        world.refuse(3, vec![append(1, "x")]).await,
        (0, Refusal::Changed)
    );
    world.hold(3, vec![append(3, "c")]).await;
    // Everything in one transaction: what was replaced within it never appears.
    let all = vec![
        append(4, "d"),
        replace(5, "ABCD"),
        append(6, "e"),
        replace(7, "ALL"),
        append(8, "f"),
    ];
    world.hold(4, all).await;
    let pieces = world.store.pieces(execution).await.expect("readable");
    assert_eq!(pieces, vec![(7, text("ALL")), (8, text("f"))]);
    // A snapshot may also be the first of all.
    let fresh = world.id();
    let first = Command::ReplacePieces {
        execution: fresh,
        at: 0,
        snapshot: text("S"),
    };
    world.hold(5, vec![first]).await;
    let pieces = world.store.pieces(fresh).await.expect("readable");
    assert_eq!(pieces, vec![(0, text("S"))]);
}

/// Output takes the numbers it names, and is read from any number on.
pub async fn output_is_numbered(world: &World) {
    let execution = world.id();
    let append = |at, lines: &[&str]| Command::AppendOutput {
        execution,
        at,
        chunks: chunks(lines),
    };
    world.hold(1, vec![append(0, &["a\n", "E:b\n"])]).await;
    for wrong in [0, 1, 3] {
        let refused = world.refuse(1, vec![append(wrong, &["x"])]).await;
        assert_eq!(refused, (0, Refusal::Changed), "{wrong}");
    }
    world
        .hold(
            2,
            vec![append(2, &["c\n"]), append(3, &[]), append(3, &["d\n"])],
        )
        .await;
    let all = chunks(&["a\n", "E:b\n", "c\n", "d\n"]);
    for (first, limit, expect) in [
        (0, usize::MAX, 0..4),
        (0, 2, 0..2),
        (1, 2, 1..3),
        (3, 10, 3..4),
        (4, 10, 4..4),
        (u64::MAX, 10, 4..4),
        (0, 0, 0..0),
    ] {
        let read = world.store.output(execution, first, limit).await;
        assert_eq!(
            read.expect("readable"),
            all[expect],
            "from {first}, {limit}"
        );
    }
    let other = world.store.output(world.id(), 0, 10).await;
    assert!(other.expect("readable").is_empty());
}
