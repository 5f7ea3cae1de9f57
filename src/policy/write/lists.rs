//! Writes lists of ascending numbers.

use super::bits::{Writer, small};
use crate::table::sequence::Layout;
use crate::table::set::Form;

/// Writes a sequence; numbers may repeat.
pub fn sequence(out: &mut Writer, numbers: &[u32], bound: u32) {
    let layout = Layout::new(small(numbers.len()), bound);
    let place = |index: usize, number: u32| number.unbounded_shr(layout.low).saturating_add(small(index));
    for (index, number) in numbers.iter().enumerate().step_by(256).skip(1) {
        out.number(place(index, *number), layout.hint);
    }
    let mut at = 0_u32;
    for (index, number) in numbers.iter().enumerate() {
        let place = place(index, *number);
        out.zeros(place.saturating_sub(at));
        out.number(1, 1);
        at = place.saturating_add(1);
    }
    out.zeros(layout.upper.saturating_sub(at));
    let mask = !u32::MAX.unbounded_shl(layout.low);
    numbers.iter().for_each(|number| out.number(number & mask, layout.low));
}

/// Writes a set in its shortest form.
pub fn set(out: &mut Writer, numbers: &[u32], bound: u32) {
    match Form::new(small(numbers.len()), bound).0 {
        Form::All => {}
        Form::Bitmap => {
            let mut at = 0_u32;
            for number in numbers {
                out.zeros(number.saturating_sub(at));
                out.number(1, 1);
                at = number.saturating_add(1);
            }
            out.zeros(bound.saturating_sub(at));
        }
        Form::Sequence => sequence(out, numbers, bound),
    }
}
