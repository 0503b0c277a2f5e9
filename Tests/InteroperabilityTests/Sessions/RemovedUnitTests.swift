// SPDX-License-Identifier: Apache-2.0
import Dispatch
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// A logical unit is taken away while its handler has a command: whoever promises that the medium is quiet waits for
    /// that command all the same.
    @Suite("Sessions: ends of commands whose logical unit is gone", .needsSeveralConnections)
    struct RemovedUnitTests {
        private static let target = "iqn.2026-11.org.martlet.test:removed"
        /// How long the handler has the read: longer than a loaded machine takes to remove a LUN.
        private static let heldMilliseconds = 1800
        private static let configuration = """
            portals: [{listen: "127.0.0.1:0"}]
            devices:
              d0: {backstore: ram/1M}
              d1: {backstore: life/a, size: 1M}
            targets:
              \(target):
                luns: {0: d0, 1: d1}
            """

        /// What says that no command of a connection, or of a session, is left.
        enum Promise: String, CaseIterable, CustomTestStringConvertible {
            case logoutOfConnection = "the Logout Response about the connection"
            case logoutOfSession = "the Logout Response about the session"
            case connectionReinstatement = "the Login Response to a connection of the same CID"
            case sessionReinstatement = "the Login Response to a session of the same name"

            var testDescription: String { rawValue }
        }

        private func keep(_ promise: Promise, _ session: InitiatorSession, _ url: LogicalUnitURL) throws {
            switch promise {
            case .logoutOfConnection:
                #expect(try session.logout(.closeConnection, about: 1, on: 0).response == 0)
                try session.expectData(lba: 8, blockCount: 8)
            case .logoutOfSession:
                #expect(try session.logout(on: 0).response == 0)
            case .connectionReinstatement:
                try session.addConnection(cid: 1)
                try session.expectData(lba: 8, blockCount: 8)
            case .sessionReinstatement:
                let successor = try InitiatorSession.login(url.address, session.options)
                try successor.becomeReady()
                try successor.expectData(lba: 8, blockCount: 8)
            }
        }

        @Test("It is not sent before the command has ended", arguments: Promise.allCases)
        func waits(promise: Promise) throws {
            let handler = try LifeHandler()
            let server = try AccessServer(Self.configuration, unitCount: 2, options: handler.options)
            let url = server.url(Self.target, 0)
            let session = try url.session {
                $0.maxConnections = 2
                $0.time2WaitSeconds = 0
            }
            try session.addConnection(cid: 1)
            var ready = InitiatorCommand.testUnitReady
            ready.lun = 1
            for _ in 0..<8 where try session.perform(ready).isGood { break }
            var read = InitiatorCommand.read(lba: 0, blockCount: 8)
            read.lun = 1
            let release = try handler.hold("read", of: "a")
            let begin = ContinuousClock.now
            let held = try session.submit(read, on: 1)
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(Self.heldMilliseconds)) { release() }
            try session.ping(on: 1)
            try server.demand(["lun", "remove", Self.target, "1"])
            // LOGICAL UNIT NOT SUPPORTED: it is gone for every new command.
            #expect(try session.perform(ready, on: 0).senseCode == 0x52500)
            try session.becomeReady()
            try keep(promise, session, url)
            let time = ContinuousClock.now - begin
            #expect(time >= .milliseconds(Self.heldMilliseconds), "\(time)")
            // Its status may come before that, and is the one that the removal gave it.
            if let outcome = held.outcome { #expect(outcome.senseCode == 0x52500) }
            try Interoperability.expectServes(url)
            try server.martlet.stop()
        }
    }
}
