//! Who may do what, through the API as a whole.

mod audit;
mod browsers;
mod changing;
mod ending;
mod matrix;
mod publishing;
mod seeing;
mod templates;
mod world;
