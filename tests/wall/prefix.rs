//! Below a path that a proxy takes off.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use super::*;

/// Serves `to` below `/tv/cams/`, and nothing elsewhere. Ends with the test's process.
fn proxy(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || pass_on(client, to));
        }
    });
    address
}

/// One request: its path is cut, and the connection ends behind the answer.
fn pass_on(mut client: TcpStream, to: SocketAddr) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let text = String::from_utf8(head).ok()?;
    let Some((method, rest)) = text.split_once(" /tv/cams/") else {
        return client
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .ok();
    };
    let mut server = TcpStream::connect(to).ok()?;
    let rest =
        rest.replacen("\r\n", "\r\nConnection: close\r\n", 1).replace("Connection: keep-alive\r\n", "");
    server.write_all(format!("{method} /{rest}").as_bytes()).ok()?;
    let (mut body, mut sink) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let upload = std::thread::spawn(move || std::io::copy(&mut body, &mut sink));
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
    let _ = upload.join();
    Some(())
}

#[test]
fn wall_kiosk_and_player_work_below_a_path() {
    let _turn = turn();
    let sluice = demos(&["cam1", "cam2"], &[]);
    let proxy = proxy(sluice.http);
    let mut page = Page::open(proxy, "/tv/cams/");
    page.wait_until("globalThis.sluiceWall?.counts.drawn >= 2");
    page.act("hover [aria-label^='cam2,']");
    page.wait_until("document.querySelector('.view.playing') !== null");
    page.act("hover #bar");
    wait_for_sessions(&sluice, 0.0);
    page.eval("document.querySelector('[aria-label^=\"cam2,\"]').click()");
    page.wait_until(
        "location.pathname === '/tv/cams/cam2/' && document.querySelector('video')?.videoWidth > 0",
    );
    page.act("press ArrowLeft");
    page.wait_until(
        "location.pathname === '/tv/cams/cam1/' && document.querySelector('video')?.videoWidth > 0",
    );
    page.eval("location.assign('../?wall')");
    page.wait_until("globalThis.sluiceKiosk?.cells?.get('cam2')?.age < 2000");
    page.assert_sound();
}
