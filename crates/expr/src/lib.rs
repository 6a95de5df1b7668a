//! Jinja and YAQL behind one door, with the functions and filters of StackStorm.
