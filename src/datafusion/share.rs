//! Dividing row groups of files into shares that are read at the same time.

/// Row groups of one file, by the file's number.
pub(super) type Share = Vec<(usize, Vec<usize>)>;

/// Divides the row groups of files, of so many bytes each, into at most `count` shares of about the same size, each a
/// stretch of the whole. At least one; none of them is empty if there are row groups.
pub(super) fn shares(files: &[Vec<u64>], count: usize) -> Vec<Share> {
    let total: u128 = files.iter().flatten().map(|bytes| u128::from(*bytes)).sum();
    let groups: usize = files.iter().map(Vec::len).sum();
    let count = count.clamp(1, groups.max(1)) as u128;
    let mut shares: Vec<Share> = Vec::new();
    let (mut before, mut last) = (0u128, None);
    for (file, sizes) in files.iter().enumerate() {
        for (group, bytes) in sizes.iter().enumerate() {
            // Where its middle lies; of files without a byte, all are the first.
            let middle = before + u128::from(*bytes) / 2;
            let number = (middle * count).checked_div(total).unwrap_or(0);
            before += u128::from(*bytes);
            if last != Some(number) {
                shares.push(Share::new());
                last = Some(number);
            }
            let Some(share) = shares.last_mut() else { continue };
            match share.last_mut() {
                Some((of, groups)) if *of == file => groups.push(group),
                _ => share.push((file, vec![group])),
            }
        }
    }
    if shares.is_empty() {
        shares.push(Share::new());
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_each_group_once_and_about_as_many_bytes() {
        let files = [vec![10, 10, 10], vec![], vec![30]];
        assert_eq!(shares(&files, 1), [vec![(0, vec![0, 1, 2]), (2, vec![0])]]);
        assert_eq!(shares(&files, 2), [vec![(0, vec![0, 1, 2])], vec![(2, vec![0])]]);
        assert_eq!(shares(&files, 100).len(), 3);
        assert_eq!(shares(&[vec![0, 0]], 2), [vec![(0, vec![0, 1])]]);
        assert_eq!(shares(&[], 2), [Share::new()]);
        assert_eq!(shares(&[vec![u64::MAX; 3]], 3).len(), 3);
    }
}
