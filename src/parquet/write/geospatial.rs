//! What is known of the geometries of a chunk: the box around them, and their kinds.
//!
//! Spec: Geospatial.md, "Statistics"; OGC 06-103r4, "Well-known Binary Representation for Geometry".
//!
//! ```text
//! geometry    byte order (0 big-endian, 1 little) code (4) body         code: kind + 1000 Z + 2000 M + 3000 ZM
//! Point       coordinates: 2 to 4 doubles; NaN: empty
//! LineString  count (4) Point bodies          Polygon   count (4) LineString bodies
//! Multi…, GeometryCollection                  count (4) geometries
//! ```
//!
//! A value that is nothing of this ends the statistics, never the write. Edges of GEOGRAPHY bulge beyond their ends, and
//! may cross the antimeridian: it has no box here, only kinds.

use std::collections::BTreeSet;

use crate::cursor::Cursor;
use crate::error::Result;
use crate::parquet::arrow::Leaf;
use crate::parquet::format::{BoundingBox, GeospatialStatistics, LogicalType};

/// How deep collections may nest.
const DEPTH_MAX: usize = 32;

/// Gathers the statistics of one chunk.
#[derive(Debug)]
pub(super) struct Geospatial {
    has_box: bool,
    /// A value was no geometry.
    is_lost: bool,
    kinds: BTreeSet<u32>,
    /// Of x, y, z and m.
    ranges: [Extent; 4],
}

/// The least and the greatest of what is no NaN.
#[derive(Debug, Clone, Copy, Default)]
struct Extent(Option<(f64, f64)>);

impl Extent {
    fn add(&mut self, value: f64) {
        if !value.is_nan() {
            let (low, high) = self.0.unwrap_or((value, value));
            self.0 = Some((low.min(value), high.max(value)));
        }
    }
}

impl Geospatial {
    /// None for columns of other types.
    pub fn of(leaf: &Leaf) -> Option<Geospatial> {
        let has_box = match leaf.logical {
            Some(LogicalType::Geometry(_)) => true,
            Some(LogicalType::Geography(_)) => false,
            _ => return None,
        };
        Some(Geospatial { has_box, is_lost: false, kinds: BTreeSet::new(), ranges: Default::default() })
    }

    /// Takes a value that is not null.
    pub fn add(&mut self, value: &[u8]) {
        if self.is_lost {
            return;
        }
        let mut cursor = Cursor::new(value);
        let whole = self.geometry(&mut cursor, 0).map(|kind| (kind, cursor.is_empty()));
        match whole {
            Ok((Some(kind), true)) => {
                self.kinds.insert(kind);
            }
            _ => self.is_lost = true,
        }
    }

    /// As the footer has it, if something is known.
    pub fn finish(&self) -> Option<GeospatialStatistics> {
        if self.is_lost || self.kinds.is_empty() {
            return None;
        }
        let [x, y, z, m] = self.ranges.map(|extent| extent.0);
        let bbox = x.zip(y).filter(|_| self.has_box).map(|((xmin, xmax), (ymin, ymax))| BoundingBox {
            xmin,
            xmax,
            ymin,
            ymax,
            zmin: z.map(|z| z.0),
            zmax: z.map(|z| z.1),
            mmin: m.map(|m| m.0),
            mmax: m.map(|m| m.1),
        });
        let kinds = self.kinds.iter().map(|&kind| kind as i32).collect();
        Some(GeospatialStatistics { bbox, geospatial_types: Some(kinds) })
    }

    /// Reads one geometry; its code, or None where it is none.
    fn geometry(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Option<u32>> {
        let is_little = match cursor.u8()? {
            0 => false,
            1 => true,
            _ => return Ok(None),
        };
        let code = number(cursor, is_little)?;
        let axes: &[usize] = match code / 1000 {
            0 => &[0, 1],
            1 => &[0, 1, 2],
            2 => &[0, 1, 3],
            3 => &[0, 1, 2, 3],
            _ => return Ok(None),
        };
        match code % 1000 {
            1 => self.points(cursor, is_little, axes, 1)?,
            2 => self.line(cursor, is_little, axes)?,
            3 => {
                // Each line takes bytes, so the count is bounded by them.
                for _ in 0..number(cursor, is_little)? {
                    self.line(cursor, is_little, axes)?;
                }
            }
            kind @ 4..=7 if depth < DEPTH_MAX => {
                for _ in 0..number(cursor, is_little)? {
                    let Some(part) = self.geometry(cursor, depth + 1)? else { return Ok(None) };
                    let is_right = kind == 7 || part % 1000 == kind - 3;
                    if !is_right || part / 1000 != code / 1000 {
                        return Ok(None);
                    }
                }
            }
            _ => return Ok(None),
        }
        Ok(Some(code))
    }

    fn line(&mut self, cursor: &mut Cursor<'_>, is_little: bool, axes: &[usize]) -> Result<()> {
        let count = number(cursor, is_little)?;
        self.points(cursor, is_little, axes, count)
    }

    fn points(&mut self, cursor: &mut Cursor<'_>, is_little: bool, axes: &[usize], count: u32) -> Result<()> {
        for _ in 0..count {
            for &axis in axes {
                let bytes = cursor.array()?;
                let value = if is_little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) };
                if let Some(extent) = self.ranges.get_mut(axis) {
                    extent.add(value);
                }
            }
        }
        Ok(())
    }
}

fn number(cursor: &mut Cursor<'_>, is_little: bool) -> Result<u32> {
    let bytes = cursor.array()?;
    Ok(if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wkb(code: u32, counts: &[u32], coordinates: &[f64]) -> Vec<u8> {
        let mut out = vec![1];
        out.extend(code.to_le_bytes());
        out.extend(counts.iter().flat_map(|n| n.to_le_bytes()));
        out.extend(coordinates.iter().flat_map(|c| c.to_le_bytes()));
        out
    }

    fn of(has_box: bool, values: &[Vec<u8>]) -> Option<GeospatialStatistics> {
        let mut all = Geospatial { has_box, is_lost: false, kinds: BTreeSet::new(), ranges: Default::default() };
        values.iter().for_each(|value| all.add(value));
        all.finish()
    }

    fn collection(code: u32, parts: &[Vec<u8>]) -> Vec<u8> {
        [wkb(code, &[parts.len() as u32], &[]), parts.concat()].concat()
    }

    #[test]
    fn a_box_is_around_all_geometries() {
        let mut big_endian = vec![0, 0, 0, 0, 1];
        big_endian.extend([-7.5f64, 100.0].iter().flat_map(|c| c.to_be_bytes()));
        let polygon = wkb(3, &[1, 4], &[0.0, 0.0, 10.0, 0.0, 10.0, -20.0, 0.0, 0.0]);
        let all = of(true, &[wkb(1, &[], &[3.0, 4.0]), big_endian, polygon]).expect("known");
        let bbox = all.bbox.expect("a box");
        assert_eq!((bbox.xmin, bbox.xmax, bbox.ymin, bbox.ymax), (-7.5, 10.0, -20.0, 100.0));
        assert_eq!((bbox.zmin, bbox.mmin), (None, None));
        assert_eq!(all.geospatial_types, Some(vec![1, 3]));
    }

    #[test]
    fn every_kind_in_every_dimension_is_read() {
        for (dimension, axes) in [(0, 2), (1000, 3), (2000, 3), (3000, 4)] {
            let at = |n: usize| -> Vec<f64> { (0..n * axes).map(|i| i as f64).collect() };
            let point = wkb(dimension + 1, &[], &at(1));
            let line = wkb(dimension + 2, &[2], &at(2));
            let polygon =
                [wkb(dimension + 3, &[2, 1], &at(1)), 1u32.to_le_bytes().to_vec(), wkb(0, &[], &at(1))[5..].to_vec()]
                    .concat();
            let parts = [point.clone(), line.clone(), polygon.clone()];
            let many = [4, 5, 6].map(|kind| collection(dimension + kind, &parts[kind as usize - 4..][..1]));
            let mixed = collection(dimension + 7, &[&parts[..], &many].concat());
            for value in parts.iter().chain(&many).chain([&mixed]) {
                let all = of(true, std::slice::from_ref(value)).expect("known");
                let bbox = all.bbox.expect("a box");
                assert_eq!((bbox.xmin, bbox.ymin), (0.0, 1.0));
                let (z, m) = (bbox.zmin.zip(bbox.zmax), bbox.mmin.zip(bbox.mmax));
                assert_eq!((z.is_some(), m.is_some()), (matches!(dimension, 1000 | 3000), dimension >= 2000));
                // Cut short or with more behind it, it is no geometry.
                for n in 0..value.len() {
                    assert_eq!(of(true, &[value[..n].to_vec()]), None, "{n} of {}", value.len());
                }
                assert_eq!(of(true, &[[&value[..], &[0]].concat()]), None);
            }
        }
    }

    #[test]
    fn what_is_empty_has_a_kind_and_no_place() {
        let empty = of(true, &[wkb(1, &[], &[f64::NAN, f64::NAN]), wkb(2, &[0], &[])]).expect("known");
        assert_eq!((empty.bbox, empty.geospatial_types), (None, Some(vec![1, 2])));
        let some = of(true, &[wkb(1, &[], &[f64::NAN, f64::NAN]), wkb(1, &[], &[1.0, 2.0])]).expect("known");
        assert_eq!(some.bbox.map(|b| (b.xmin, b.xmax, b.ymin, b.ymax)), Some((1.0, 1.0, 2.0, 2.0)));
        assert_eq!(of(true, &[]), None, "nothing but nulls");
    }

    #[test]
    fn a_geography_has_kinds_alone() {
        let all = of(false, &[wkb(2, &[2], &[170.0, 0.0, -170.0, 10.0])]).expect("known");
        assert_eq!(all, GeospatialStatistics { bbox: None, geospatial_types: Some(vec![2]) });
    }

    #[test]
    fn what_is_no_geometry_ends_the_statistics() {
        let good = wkb(1, &[], &[1.0, 2.0]);
        let nested = (0..100).fold(good.clone(), |inner, _| collection(7, &[inner]));
        for bad in [
            vec![],
            vec![2],
            wkb(8, &[0], &[]),
            wkb(4001, &[], &[1.0, 2.0]),
            wkb(0x2000_0001, &[], &[1.0, 2.0]),
            wkb(2, &[u32::MAX], &[]),
            collection(4, &[wkb(2, &[0], &[])]),
            collection(1004, std::slice::from_ref(&good)),
            collection(7, &[vec![9]]),
            nested,
        ] {
            assert_eq!(of(true, &[good.clone(), bad.clone(), good.clone()]), None, "{bad:?}");
        }
    }
}
