//! Rounds through the outbox, in search of claims that nobody is behind: those of processes that were buried, those that
//! this process has without knowing of them, and those of processes that nobody knows. The outbox may be long, so a round is
//! walked in steps, and whoever walks it has time for other things in between. Decides nothing about rows that somebody
//! works on.

use std::collections::HashSet;

use bus::Fault;
use uuid::Uuid;

use crate::patience::Line;

/// Rows looked at in one step: a step takes a fraction of what a statement may.
const STEP_MAX: i64 = 20_000;

/// One round after the other.
#[derive(Default)]
pub(crate) struct Rounds {
    /// The round under way.
    round: Option<Round>,
    /// Claims that the last round found to be unknown.
    suspects: HashSet<i64>,
    /// Processes that were buried since the round began.
    graves: HashSet<Uuid>,
    /// Whether something has happened since the round began that asks for another.
    is_wanted: bool,
}

#[derive(Default)]
struct Round {
    /// The last row that was looked at.
    after: i64,
    unknown: HashSet<i64>,
    graves: HashSet<Uuid>,
}

/// What a step has met.
#[derive(Debug, Default)]
pub(crate) struct Met {
    /// Claims of this process, and of processes that nobody knows.
    pub(crate) claims: Vec<Claim>,
    /// The row after which the round goes on, if this was not the end.
    pub(crate) goes_on_after: Option<i64>,
}

/// A row and the process that has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) position: i64,
    pub(crate) holder: Uuid,
}

/// What is to be given up.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// What processes had that were buried.
    pub(crate) of_the_dead: Vec<i64>,
    /// What was unknown in two rounds.
    pub(crate) in_doubt: Vec<i64>,
}

/// When the next step is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// As soon as there is time.
    Step,
    /// After a while: there are suspects, and between a commit and the word of it there is always a moment.
    Suspects,
    /// When there is a reason, or none for long.
    Rest,
}

impl Rounds {
    /// Whatever is claimed without anybody's knowing is to be found, wherever the round under way has got to.
    pub(crate) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// What these processes had claimed is nobody's any more.
    pub(crate) fn bury(&mut self, processes: impl IntoIterator<Item = Uuid>) {
        self.graves.extend(processes);
        self.is_wanted = true;
    }

    /// Whether the next round may begin at once: suspects are given their time.
    pub(crate) fn is_ready(&self) -> bool {
        self.round.is_some() || self.suspects.is_empty()
    }

    /// Looks at the next rows. A step that fails is taken again.
    pub(crate) async fn look(&mut self, line: &Line, instance: Uuid) -> Result<Met, Fault> {
        let after = self.begin().after;
        let sql = "with step as (
                 select position, claimed_by from outbox where position > $1 order by position limit $2
             )
             select position, claimed_by from step
             where claimed_by = $3 or claimed_by not in (select instance_id from instances)
             union all select max(position), null from step having count(*) = $2";
        let rows = line.query("keeper.audit", sql, &[&after, &STEP_MAX, &instance]).await?;
        let mut met = Met::default();
        for row in rows {
            let position = row.get(0);
            match row.get(1) {
                Some(holder) => met.claims.push(Claim { position, holder }),
                None => met.goes_on_after = Some(position),
            }
        }
        Ok(met)
    }

    fn begin(&mut self) -> &mut Round {
        let (graves, is_wanted) = (&mut self.graves, &mut self.is_wanted);
        self.round.get_or_insert_with(|| {
            *is_wanted = false;
            Round { graves: std::mem::take(graves), ..Round::default() }
        })
    }

    /// Which of these claims nobody is behind, `known` being what this process knows of. A claim must be unknown in two
    /// rounds; what a dead process had is lost at once.
    pub(crate) fn judge(&mut self, claims: &[Claim], known: &HashSet<i64>) -> Lost {
        self.begin();
        let Some(round) = &mut self.round else { return Lost::default() };
        let mut lost = Lost::default();
        for Claim { position, holder } in claims {
            if round.graves.contains(holder) {
                lost.of_the_dead.push(*position);
            } else if !known.contains(position) {
                if self.suspects.contains(position) {
                    lost.in_doubt.push(*position);
                } else {
                    round.unknown.insert(*position);
                }
            }
        }
        lost
    }

    /// What was lost of this step is given up; the round goes on, or is over.
    pub(crate) fn advance(&mut self, goes_on_after: Option<i64>) -> Next {
        if let Some(after) = goes_on_after {
            self.begin().after = after;
            return Next::Step;
        }
        self.suspects = self.round.take().unwrap_or_default().unknown;
        match (self.suspects.is_empty(), self.is_wanted) {
            (false, _) => Next::Suspects,
            (true, true) => Next::Step,
            (true, false) => Next::Rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Uuid = Uuid::from_u128(1);
    const DEAD: Uuid = Uuid::from_u128(2);

    fn claims(holder: Uuid, positions: impl IntoIterator<Item = i64>) -> Vec<Claim> {
        positions.into_iter().map(|position| Claim { position, holder }).collect()
    }

    fn of_the_dead(positions: &[i64]) -> Lost {
        Lost { of_the_dead: positions.to_vec(), ..Lost::default() }
    }

    fn in_doubt(positions: &[i64]) -> Lost {
        Lost { in_doubt: positions.to_vec(), ..Lost::default() }
    }

    #[test]
    fn what_is_unknown_in_two_rounds_is_lost_and_what_was_known_meanwhile_is_not() {
        let mut rounds = Rounds::default();
        let known = HashSet::from([1]);
        assert_eq!(rounds.judge(&claims(OWN, [1, 2, 3]), &known), Lost::default());
        assert_eq!(rounds.advance(None), Next::Suspects);
        assert!(!rounds.is_ready(), "suspects are given their time");
        let known = HashSet::from([1, 3]);
        assert_eq!(rounds.judge(&claims(OWN, [1, 2, 3]), &known), in_doubt(&[2]));
        assert_eq!(rounds.advance(None), Next::Rest);
    }

    #[test]
    fn a_round_in_steps_finds_what_a_round_at_once_finds() {
        let mut rounds = Rounds::default();
        for round in 0..2 {
            for step in [1..=2, 3..=4] {
                let lost = rounds.judge(&claims(OWN, step.clone()), &HashSet::new());
                let again = rounds.judge(&claims(OWN, step.clone()), &HashSet::new());
                assert_eq!(lost, again, "a step that is taken again changes nothing");
                let expected: Vec<i64> = step.clone().filter(|_| round == 1).collect();
                assert_eq!(lost, in_doubt(&expected));
                let on = (*step.end() < 4).then(|| *step.end());
                assert_eq!(rounds.advance(on) == Next::Step, on.is_some());
            }
        }
    }

    #[test]
    fn what_the_dead_had_is_lost_at_once_even_if_they_die_while_a_round_is_under_way() {
        let mut rounds = Rounds::default();
        assert_eq!(rounds.judge(&claims(DEAD, []), &HashSet::new()), Lost::default());
        assert_eq!(rounds.advance(Some(10)), Next::Step);
        rounds.bury([DEAD]);
        assert_eq!(rounds.judge(&[], &HashSet::new()), Lost::default());
        assert_eq!(rounds.advance(None), Next::Step, "what lies before is looked at again");
        assert_eq!(rounds.judge(&claims(DEAD, [1, 2]), &HashSet::new()), of_the_dead(&[1, 2]));
        assert_eq!(rounds.advance(None), Next::Rest);
    }

    #[test]
    fn a_doubt_that_comes_during_a_round_asks_for_another() {
        let mut rounds = Rounds::default();
        assert_eq!(rounds.judge(&[], &HashSet::new()), Lost::default());
        rounds.want();
        assert_eq!(rounds.advance(None), Next::Step);
        assert_eq!(rounds.judge(&[], &HashSet::new()), Lost::default());
        assert_eq!(rounds.advance(None), Next::Rest);
    }
}
