//! Packing entries into requests, by count and by bytes.

/// The most entries of one request.
pub const MAX_ENTRIES: usize = 10;
/// The most bytes of one request, by the smaller of the limits that AWS has documented.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html>
pub const MAX_BYTES: usize = 256 * 1024;

/// Puts sizes together, in order, so that no pack has more than ten entries or too many bytes.
/// An entry that is too large by itself is in a pack of its own.
pub fn pack(sizes: impl IntoIterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let mut packs: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for (place, size) in sizes {
        match packs.last_mut() {
            Some(pack) if pack.len() < MAX_ENTRIES && bytes + size <= MAX_BYTES => {
                pack.push(place);
                bytes += size;
            }
            Some(_) | None => {
                packs.push(vec![place]);
                bytes = size;
            }
        }
    }
    packs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n23_packed_by_count_and_by_bytes() {
        let packs = pack((0..25).map(|place| (place, 100)));
        assert_eq!(packs.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
        let packs = pack([(0, 200_000), (1, 60_000), (2, 10_000), (3, 300_000), (4, 1)]);
        assert_eq!(packs, [vec![0, 1], vec![2], vec![3], vec![4]]);
    }
}
