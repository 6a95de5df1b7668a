//! `sensor`.

use anyhow::Result;
use clap::Subcommand;
use squall_client::Resource;

use super::list::{self, ListOptions};
use super::{Invocation, show};
use crate::output::{Column, Show};

/// List and show sensors.
#[derive(Debug, Subcommand)]
pub enum Sensor {
    /// List sensors
    #[command(after_help = "Example:\n  squall sensor list --pack linux")]
    List {
        /// Only those of this pack
        #[arg(short, long)]
        pack: Option<String>,
        /// How much to show.
        #[command(flatten)]
        list: ListOptions,
    },
    /// Show a sensor
    #[command(after_help = "Example:\n  squall sensor get linux.FileWatchSensor")]
    Get {
        /// Reference or id
        #[arg(value_name = "SENSOR")]
        sensor: String,
    },
}

impl Sensor {
    pub(crate) async fn carry_out(self, invocation: &mut Invocation) -> Result<u8> {
        match self {
            Sensor::List { pack, list } => {
                let columns = list.columns(&[
                    Column::new("ref", "ref", Show::Plain),
                    Column::new("enabled", "enabled", Show::Enabled),
                    Column::new("every", "poll_interval", Show::Plain),
                    Column::new("triggers", "trigger_types", Show::Plain),
                    Column::new("description", "description", Show::Plain),
                ]);
                let query = list.query().maybe("pack", pack);
                list::show(
                    invocation,
                    Resource::SensorTypes,
                    &query,
                    &columns,
                    "sensors",
                )
                .await
            }
            Sensor::Get { sensor } => {
                let first = ["ref", "description", "enabled"];
                show::one(invocation, Resource::SensorTypes, &sensor, &first).await
            }
        }
    }
}
