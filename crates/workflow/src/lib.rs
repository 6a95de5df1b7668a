//! The conductor: Orquesta and action chains as a pure state machine.
