use super::*;

const TRAIN: Attempt = Attempt { segmented: true, retries: 0 };
const SINGLE: Attempt = Attempt { segmented: false, retries: 0 };

fn retried(attempt: Attempt, retries: u32) -> Attempt {
    Attempt { retries, ..attempt }
}

#[test]
fn every_row_of_the_table() {
    use DropReason::*;
    use Outcome::*;
    let table = [
        // result, first message, next step
        (Ok(64), TRAIN, Sent(64)),
        (Ok(1), SINGLE, Sent(1)),
        (Err(libc::EAGAIN), TRAIN, Blocked),
        (Err(libc::EWOULDBLOCK), SINGLE, Blocked),
        (Err(libc::EIO), TRAIN, WithoutGso(GsoFault::Device)),
        (Err(libc::EINVAL), TRAIN, WithoutGso(GsoFault::Path)),
        (Err(libc::EMSGSIZE), TRAIN, WithoutGso(GsoFault::Path)),
        (Err(libc::EIO), SINGLE, Drop(Other)),
        (Err(libc::EINVAL), SINGLE, Drop(Invalid)),
        (Err(libc::EMSGSIZE), SINGLE, Drop(TooLong)),
        (Err(libc::ENOBUFS), TRAIN, Drop(NoMemory)),
        (Err(libc::ENOMEM), SINGLE, Drop(NoMemory)),
        (Err(libc::EPERM), TRAIN, Drop(Denied)),
        (Err(libc::EACCES), SINGLE, Drop(Denied)),
        (Err(libc::ENETUNREACH), TRAIN, Drop(Unreachable)),
        (Err(libc::EHOSTUNREACH), SINGLE, Drop(Unreachable)),
        (Err(libc::EADDRNOTAVAIL), TRAIN, Drop(Unreachable)),
        (Err(libc::EAFNOSUPPORT), SINGLE, Drop(Invalid)),
        (Err(libc::EBADF), SINGLE, Drop(Other)),
    ];
    for (result, first, step) in table {
        assert_eq!(judge(result.map_err(Errno), first), step, "{result:?} with {first:?}");
    }
}

#[test]
fn a_refusal_from_before_is_retried_once() {
    for first in [TRAIN, SINGLE] {
        let refused = Err(Errno(libc::ECONNREFUSED));
        assert_eq!(judge(refused, first), Outcome::Retry);
        assert_eq!(judge(refused, retried(first, 1)), Outcome::Drop(DropReason::Refused));
    }
}

#[test]
fn signals_and_empty_answers_end_as_blocked_and_lose_nothing() {
    for result in [Err(Errno(libc::EINTR)), Ok(0)] {
        for retries in 0..MAX_RETRIES {
            assert_eq!(judge(result, retried(SINGLE, retries)), Outcome::Retry);
        }
        assert_eq!(judge(result, retried(SINGLE, MAX_RETRIES)), Outcome::Blocked);
    }
}

#[test]
fn no_errno_can_retry_for_ever() {
    for errno in 1..200 {
        for first in [TRAIN, SINGLE] {
            let last = judge(Err(Errno(errno)), retried(first, MAX_RETRIES));
            let again = matches!(last, Outcome::Retry | Outcome::WithoutGso(_));
            assert!(!again, "errno {errno}: {last:?}");
        }
        let single = judge(Err(Errno(errno)), SINGLE);
        assert!(!matches!(single, Outcome::WithoutGso(_)), "a single segment has no GSO to do without");
    }
}

#[test]
fn every_reason_is_listed_once_with_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = DropReason::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), DropReason::ALL.len());
    for (index, reason) in DropReason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, index);
    }
}
