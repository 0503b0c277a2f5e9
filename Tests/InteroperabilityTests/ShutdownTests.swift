// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    @Suite("Shutdown", .onEachPoller)
    struct ShutdownTests {
        /// Long enough for a flush on a slow disk, far shorter than a service manager's patience.
        static let limitSeconds = 10.0

        @Test("A signal ends an idle server cleanly", arguments: [SIGTERM, SIGINT])
        func idle(signal: Int32) throws {
            let server = try MartletServer("ram/1M")
            server.send(signal)
            #expect(try server.waitForEnd(limitSeconds: Self.limitSeconds) == .exit(0), "\(server.standardError)")
        }

        @Test("The same wish sent twice at once, as to a process group and its leader, is one wish")
        func twiceAtOnce() throws {
            let server = try MartletServer("ram/1M")
            server.send(SIGTERM)
            server.send(SIGINT)
            #expect(try server.waitForEnd(limitSeconds: Self.limitSeconds) == .exit(0), "\(server.standardError)")
        }

        @Test("SIGTERM under load ends the server soon, and what it answered is on the medium")
        func underLoad() throws {
            let folder = try TemporaryFolder()
            let server = try MartletServer(
                "file/\(folder.file("disk.img")),size=64M", options: ["--loops", "2"])
            let url = server.url
            let clients = try (1...4).map { try ClientUnderLoad(url, number: $0) }
            let finished = DispatchGroup()
            for client in clients {
                finished.enter()
                Thread.detachNewThread {
                    client.run()
                    finished.leave()
                }
            }
            for client in clients { client.waitForFirstWrites() }
            server.send(SIGTERM)
            #expect(try server.waitForEnd(limitSeconds: Self.limitSeconds) == .exit(0), "\(server.standardError)")
            finished.wait()
            let image = try folder.read("disk.img")
            for client in clients {
                #expect(client.answered.count >= ClientUnderLoad.firstWriteCount)
                for lba in client.answered {
                    let bytes = image[Int(lba) * Block.byteCount..<(Int(lba) + 1) * Block.byteCount]
                    #expect(Block.generation(of: bytes, lba: lba) == 1)
                }
            }
        }

        @Test("A session sees the connection end, not an answer that is not true")
        func sessionEnds() throws {
            let server = try MartletServer("ram/1M")
            let session = try WireSession(server.url)
            try server.stop()
            #expect(try session.connection.isClosedByPeer())
        }
    }
}

/// A session that writes block after block until its server is gone; it keeps a list of the writes that were answered.
private final class ClientUnderLoad: @unchecked Sendable {  // `answered` is read when the thread has ended
    static let firstWriteCount = 50

    private(set) var answered: [UInt64] = []
    private let session: WireSession
    private let firstBlock: UInt64
    private let firstWrites = DispatchSemaphore(value: 0)

    init(_ url: LogicalUnitURL, number: Int) throws {
        var options = WireSession.Options()
        options.qualifier = UInt16(number)
        session = try WireSession(url, options)
        firstBlock = UInt64(number) * 16384
    }

    func run() {
        for lba in firstBlock..<firstBlock + 16000 {
            guard (try? session.write(lba: lba, Block.content(lba: lba, generation: 1))) != nil else { break }
            answered.append(lba)
            if answered.count == Self.firstWriteCount { firstWrites.signal() }
        }
        firstWrites.signal()
    }

    func waitForFirstWrites() { firstWrites.wait() }
}
