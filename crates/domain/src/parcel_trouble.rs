//! What may happen to a parcel on its way.

use crate::closed_set::{closed_set, set_of};

closed_set! {
    /// Trouble with a parcel.
    pub enum ParcelTrouble {
        /// The carrier cannot deliver for now.
        Exception = 0, "exception";
        /// It is lost.
        Lost = 1, "lost";
        /// It is damaged.
        Damaged = 2, "damaged";
        /// It is on its way back, or is back.
        Returned = 3, "returned";
    }
}

set_of! {
    /// The troubles that a carrier told of one parcel.
    pub struct Troubles of ParcelTrouble
}
