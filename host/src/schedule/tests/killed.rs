//! The process is killed at each point of a schedule's run: afterwards each due time has its effect once.

use seam_store::fault::POINTS;

use super::*;
use crate::killing::{chance, folder, inherited, kills, plan, run};

const LINE: &str = "0 * * * *";
/// Hours until a process that is not killed ends by itself.
const HOURS: u64 = 100;

#[test]
fn child_that_is_killed() {
    let Some(folder) = inherited() else { return };
    let world = World::open(&folder, LINE, Missed::Each);
    // A clock that is set back by more than a day would have the schedule start again.
    world.at(world.ticks() * HOUR);
    world.run();
    let first = world.ticks() + 1;
    for hour in first..first + HOURS {
        world.at(hour * HOUR);
        println!("hour {hour}");
        world.run();
    }
}

#[test]
fn killed_at_any_point_a_schedule_has_each_due_time_once() {
    for point in POINTS.iter().filter(|point| point.starts_with("schedule.") || point.starts_with("commit.")) {
        let (folder, mut chance) = (folder(), chance(point));
        for _ in 0..kills() {
            let plan = plan(point, &mut chance, 8);
            let ended = run("schedule::tests::killed::child_that_is_killed", folder.path(), &[("SEAM_FAULT", &plan)]);
            assert!(ended.killed, "`{plan}` did not kill it: {}", ended.said);
            let world = World::open(folder.path(), LINE, Missed::Each);
            let hour = ended.numbers("hour").last().copied().unwrap_or(0).max(world.ticks());
            world.at(hour * HOUR);
            world.run();
            assert_eq!(world.ticks(), hour, "{plan}");
        }
    }
}
