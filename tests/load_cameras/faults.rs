//! Cameras that misbehave, against our server: it recovers or says what is wrong, and a good camera beside the
//! bad one is not disturbed.

use super::*;

/// A bad `cam1` and a good `cam2`, and a server that pulls both.
fn bad_and_good(arguments: &[&str], server_arguments: &[&str]) -> (Cameras, Sluice) {
    let cameras = SLUICE.cameras(2, &[&["--faulty", "1"], arguments].concat());
    let sluice = server(&cameras, server_arguments);
    sluice.wait_until_playing("cam2");
    (cameras, sluice)
}

/// Waits until the log says something.
fn wait_for_sentence(sluice: &Sluice, sentence: &str) {
    wait_for(&format!("the sentence {sentence:?}"), || sluice.log().contains(sentence).then_some(()));
}

/// `cam1` played, failed with this sentence, and played again.
fn assert_recovers(sluice: &Sluice, sentence: &str) {
    wait_for_sentence(sluice, sentence);
    wait_for_figure(sluice, "starts_total", "cam1", 2.0);
    assert_undisturbed(sluice, "cam2");
}

#[test]
fn a_camera_that_stalls_is_connected_again() {
    let (_cameras, sluice) = bad_and_good(&["--stall", "3s"], &[]);
    assert_recovers(&sluice, "sent no whole picture for 3 s: does its encoder still run?");
}

#[test]
fn a_camera_that_drops_its_connection_is_connected_again() {
    for transport in ["tcp", "udp"] {
        let (_cameras, sluice) =
            bad_and_good(&["--drop-connection", "3s"], &["--set", &format!("rtsp.transport={transport}")]);
        assert_recovers(&sluice, "closed the connection");
    }
}

#[test]
fn a_description_without_end_is_given_up_in_time() {
    let (_cameras, sluice) = bad_and_good(&["--huge-content-length"], &[]);
    wait_for_sentence(&sluice, "sent an answer of more than 262144 bytes, no camera does");
    assert_eq!(figure(&sluice, "up", "cam1"), 0.0);
    assert_undisturbed(&sluice, "cam2");
    // Two gigabytes were announced: nothing may have been set aside for them.
    let resident = sluice.metric("process_resident_memory_bytes");
    assert!(resident < 500e6, "{resident} bytes");
}

#[test]
fn garbage_ends_no_session() {
    for transport in ["tcp", "udp"] {
        let (_cameras, sluice) =
            bad_and_good(&["--garbage=1s"], &["--set", &format!("rtsp.transport={transport}")]);
        sluice.wait_until_playing("cam1");
        // A keyframe in two seconds: garbage came several times between them.
        wait_for_figure(&sluice, "keyframes_total", "cam1", 4.0);
        assert_eq!(figure(&sluice, "starts_total", "cam1"), 1.0, "{}", sluice.log());
        assert_eq!(figure(&sluice, "up", "cam1"), 1.0);
        assert_undisturbed(&sluice, "cam2");
    }
}

/// A line that loses a third of what comes by UDP, where TCP may be taken instead.
#[test]
fn udp_that_loses_much_gives_way_to_tcp_and_is_said_with_figures() {
    let arguments = ["--set", "rtsp.transport=auto", "--set", "rtsp.data_timeout=30s"];
    let (_cameras, sluice) = bad_and_good(&["--udp-loss", "33%"], &arguments);
    wait_for_sentence(&sluice, "too much is lost by the way of media that was taken (loses 3");
    wait_for_figure(&sluice, "ingress_transport_changes_total", "cam1", 1.0);
    let lost = figure(&sluice, "ingress_packets_lost_total", "cam1");
    let keyframes = figure(&sluice, "keyframes_total", "cam1");
    wait_for_figure(&sluice, "keyframes_total", "cam1", keyframes + 3.0);
    assert_eq!(figure(&sluice, "ingress_packets_lost_total", "cam1"), lost, "nothing is lost by TCP");
    assert_eq!(sluice.log().matches("too much is lost").count(), 1, "{}", sluice.log());
    assert_eq!(figure(&sluice, "ingress_transport_changes_total", "cam2"), 0.0);
    assert_undisturbed(&sluice, "cam2");
}

#[test]
fn a_clock_that_jumps_is_not_seen_by_viewers() {
    let (cameras, sluice) = bad_and_good(&["--timestamp-jump=1s"], &[]);
    let seen = players::picture_times(&cameras.urls[0], 90);
    assert!(seen.windows(2).any(|pair| (pair[1] - pair[0]).abs() > 3_500.0), "no jump to hide: {seen:?}");

    sluice.wait_until_playing("cam1");
    let mut player = Player::join(&sluice, "/cam1/whep");
    player.run_until("5 s of pictures", |player| player.pictures().len() > 150);
    let pictures = player.pictures();
    let steps = pictures.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]).cast_signed());
    // A picture is 3,000 ticks; at a jump the step is as long as the time between two arrivals.
    let odd: Vec<i32> = steps.filter(|step| !(1..45_000).contains(step)).collect();
    assert!(odd.is_empty(), "{odd:?}");
    assert_undisturbed(&sluice, "cam1");
    assert_undisturbed(&sluice, "cam2");
}

#[test]
fn parameter_sets_may_be_in_the_session_description_only() {
    let (_cameras, sluice) = bad_and_good(&["--no-parameter-sets"], &[]);
    wait_for_figure(&sluice, "keyframes_total", "cam1", 2.0);
    assert_undisturbed(&sluice, "cam1");
    assert_undisturbed(&sluice, "cam2");
}

#[test]
fn parameter_sets_that_are_nowhere_are_missed_in_words() {
    let (_cameras, sluice) = bad_and_good(&["--no-parameter-sets=everywhere"], &[]);
    wait_for_sentence(&sluice, "no SPS/PPS, in band or in the session description");
    wait_for_figure(&sluice, "ingress_invalid_frames_total", "cam1", 1.0);
    assert_eq!(figure(&sluice, "keyframes_total", "cam1"), 0.0);
    assert_undisturbed(&sluice, "cam2");
}

#[test]
fn packets_of_60_kilobytes_are_taken_over_tcp() {
    let (_cameras, sluice) = bad_and_good(&["--big-packets"], &[]);
    sluice.wait_until_playing("cam1");
    let mut player = Player::join(&sluice, "/cam1/whep");
    player.run_until("3 s of pictures", |player| player.pictures().len() > 90);
    wait_for_figure(&sluice, "keyframes_total", "cam1", 2.0);
    assert_undisturbed(&sluice, "cam1");
    assert_undisturbed(&sluice, "cam2");
}
