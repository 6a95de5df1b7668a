//! `sensor`.

use anyhow::Result;
use clap::Subcommand;
use squall_client::Resource;

use super::list::{self, ListOptions};
use super::{DONE, Invocation, show};
use crate::output::{Column, Format, Show};

/// List and show sensors, switch them on and off, and start them anew.
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
    /// Start a sensor that was switched off
    #[command(after_help = "Example:\n  squall sensor enable linux.FileWatchSensor")]
    Enable {
        /// Reference or id
        #[arg(value_name = "SENSOR")]
        sensor: String,
    },
    /// End a sensor's process, and don't start it again
    #[command(after_help = "Example:\n  squall sensor disable linux.FileWatchSensor")]
    Disable {
        /// Reference or id
        #[arg(value_name = "SENSOR")]
        sensor: String,
    },
    /// Start a sensor anew, also one that failed too often
    #[command(after_help = "Example:\n  squall sensor restart linux.FileWatchSensor")]
    Restart {
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
                    Column::new("state", "process.state", Show::Plain),
                    Column::new("restarts", "process.restarts", Show::Plain),
                    Column::new("next start", "process.next_start", Show::Moment),
                    Column::new("last error", "process.last_error", Show::Plain),
                    Column::new("triggers", "trigger_types", Show::Plain),
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
            Sensor::Enable { sensor } => {
                show::switched(invocation, Resource::SensorTypes, &sensor, true).await
            }
            Sensor::Disable { sensor } => {
                show::switched(invocation, Resource::SensorTypes, &sensor, false).await
            }
            Sensor::Restart { sensor } => {
                let told = invocation.client()?.restart_sensor(&sensor).await?;
                if invocation.console.format == Format::Text {
                    let text = format!(
                        "{sensor} starts anew; `squall sensor get {sensor}` shows how it fares"
                    );
                    invocation.console.line(&text)?;
                } else {
                    invocation.console.value(&told)?;
                }
                Ok(DONE)
            }
            Sensor::Get { sensor } => {
                let first = ["ref", "description", "enabled"];
                show::one(invocation, Resource::SensorTypes, &sensor, &first).await
            }
        }
    }
}
