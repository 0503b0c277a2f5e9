// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Interoperability {
    @Suite("Reservations and saved mode pages after kill -9")
    struct ReservationKillTests {
        /// Short rounds: a server, a few changes, its sudden end.
        private static let roundCount = Interoperability.isSoak ? 10_000 : 200
        /// The change under way at the end has up to so many times as long as others took: half of them end in time.
        private static let longestWait = 2.0
        private static let names = ["iqn.2026-11.org.martlet:a", "iqn.2026-11.org.martlet:b"]
        private static let portNames = names.map { "\($0),i,0x801234560001" }

        /// The unit as two initiators see it.
        private final class Scene {
            let server: MartletServer
            private let sessions: [String: WireSession]

            init(_ folder: TemporaryFolder, control: String? = nil) throws {
                let options = ["--state-dir", folder.file("state")] + (control.map { ["--control", $0] } ?? [])
                server = try MartletServer("ram/64K", options: options)
                var sessions: [String: WireSession] = [:]
                for (name, portName) in zip(ReservationKillTests.names, ReservationKillTests.portNames) {
                    sessions[portName] = try WireSession(server.url, .init(initiator: name))
                }
                self.sessions = sessions
            }

            /// Unit attentions tell of the other's changes; who has one tries again.
            func perform(_ command: Command, by sender: String) throws -> Outcome {
                var outcome = try sessions[sender]!.perform(command)
                for _ in 0..<8 where outcome.sense?.key == 6 { outcome = try sessions[sender]!.perform(command) }
                return outcome
            }

            /// Sends a command, and ends the server some time later. True when the command was acknowledged.
            func performAndKill(_ command: Command, by sender: String, after seconds: Double) throws -> Bool {
                let session = sessions[sender]!
                while try session.perform(Command(cdb: CDB.testUnitReady)).sense?.key == 6 {}
                let tag = try session.submit(command)
                let end = DispatchTime.now() + seconds
                while DispatchTime.now() < end {}
                try server.kill()
                guard let outcome = try? session.collect([tag])[0] else { return false }
                guard outcome.status == Outcome.good else {
                    throw HarnessError("the last change ended with \(outcome)")
                }
                return true
            }

            /// What the unit knows; APTPL as it says.
            func state() throws -> ReservationModel {
                var found = ReservationModel()
                let reader = ReservationKillTests.portNames[0]
                let data = try perform(Command(cdb: [0x5E, 3, 0, 0, 0, 0, 0, 4, 0, 0], receiving: 1024), by: reader)
                    .data
                var offset = 8
                while offset + 24 <= data.count {
                    let length = Int(data.bigEndian(at: offset + 20, count: 4))
                    let name = String(
                        decoding: data[(offset + 28)..<(offset + 24 + length)].prefix { $0 != 0 }, as: UTF8.self)
                    found.keys[name] = data.bigEndian(at: offset, count: 8)
                    if data[offset + 12] & 1 == 1 { found.holder = .init(name: name, type: data[offset + 13] & 0x0F) }
                    offset += 24 + length
                }
                let capabilities = try perform(
                    Command(cdb: [0x5E, 2, 0, 0, 0, 0, 0, 0, 8, 0], receiving: 8), by: reader)
                found.aptpl = capabilities.data[3] & 1 == 1
                let modes = try perform(
                    Command(cdb: [0x1A, 0x08, 0x0A, 0, 64, 0], receiving: 64), by: found.holder?.name ?? reader)
                guard modes.status == Outcome.good else { throw HarnessError("MODE SENSE ended with \(modes)") }
                found.descriptorSense = modes.data[6] & 0x04 != 0
                found.writeProtect = modes.data[8] & 0x08 != 0
                return found
            }
        }

        @Test("Every acknowledged change is there after kill -9, and one under way whole or not at all")
        func killDuringChanges() throws {
            let folder = try TemporaryFolder()
            var random = SplitMix64(seed: seed)
            print("seed \(seed)")
            var possible = [ReservationModel()]
            var acknowledged = 0
            var kept = 0
            /// Of the changes that were waited for.
            var meanSeconds = 0.001
            for round in 0..<Self.roundCount {
                let scene = try Scene(folder)
                let found = try scene.state()
                guard var model = possible.first(where: { $0 == found }) else {
                    throw HarnessError("round \(round): found \(found), not one of \(possible), seed \(seed)")
                }
                if possible.count == 2, model == possible[1] { kept += 1 }
                for _ in 0..<Int.random(in: 0...3, using: &random) {
                    let change = model.randomChange(names: Self.portNames, &random)
                    let start = DispatchTime.now().uptimeNanoseconds
                    let outcome = try scene.perform(change.command, by: change.sender)
                    meanSeconds += (Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9 - meanSeconds) / 8
                    guard outcome.status == Outcome.good else {
                        throw HarnessError("round \(round): \(change.words) ended with \(outcome), seed \(seed)")
                    }
                    model = change.after
                }
                let last = model.randomChange(names: Self.portNames, &random)
                let wait = Double.random(in: 0...Self.longestWait * meanSeconds, using: &random)
                let isDone = try scene.performAndKill(last.command, by: last.sender, after: wait)
                if isDone { acknowledged += 1 }
                possible = (isDone ? [last.after] : [model, last.after]).map(\.afterRestart)
            }
            print("\(Self.roundCount) rounds: \(acknowledged) last changes acknowledged, \(kept) others kept")
        }

        @Test("A clean stop keeps what a kill keeps, and martlet reservations tells it")
        func cleanStop() throws {
            let folder = try TemporaryFolder()
            let a = Self.portNames[0]
            let scene = try Scene(folder)
            let key = bigEndian(0xABCD_EF01_2345_6789, count: 8)
            let zero = bigEndian(0, count: 8)
            let register = Command(
                cdb: [0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0], sending: zero + key + [0, 0, 0, 0, 1, 0, 0, 0])
            let reserve = Command(cdb: [0x5F, 1, 8, 0, 0, 0, 0, 0, 24, 0], sending: key + zero + zero)
            for command in [register, reserve] {
                #expect(try scene.perform(command, by: a).status == Outcome.good)
            }
            let before = try scene.state()
            try scene.server.stop()

            let control = folder.file("control")
            let later = try Scene(folder, control: control)
            #expect(try later.state() == before)
            let table = try Program.run(MartletServer.path, ["reservations", "--control", control])
            #expect(table.succeeded)
            for words in ["abcdef0123456789", "exclusive access, all registrants", a] {
                #expect(table.output.contains(words))
            }
            let json = try Program.run(MartletServer.path, ["reservations", "--control", control, "--json"])
            #expect(json.output.contains("\"persistsThroughPowerLoss\" : true"))
            try later.server.stop()
        }

        @Test("A full disk refuses what would have to be saved, and nothing else")
        func fullDisk() throws {
            let folder = try TemporaryFolder()
            // No file may grow: the log's neither.
            let process = try ChildProcess(
                "/bin/sh",
                [
                    "-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"", MartletServer.path, "serve", "--portal",
                    "127.0.0.1:0", "--state-dir", folder.file("state"), "ram/64K",
                ], errorPath: folder.file("standard-error"))
            try process.readOutput(limitSeconds: MartletServer.startLimitSeconds) { $0.contains("\n") }
            let url = try #require(LogicalUnitURL(process.standardOutput.trimmingCharacters(in: .newlines)))
            let session = try WireSession(url)
            func register(flags: UInt8) throws -> Outcome {
                let list = bigEndian(0, count: 8) + bigEndian(5, count: 8) + [0, 0, 0, 0, flags, 0, 0, 0]
                return try session.perform(Command(cdb: [0x5F, 6, 0, 0, 0, 0, 0, 0, 24, 0], sending: list))
            }
            #expect(try register(flags: 1).sense == .init(key: 5, additional: 0x5504))
            let keys = Command(cdb: [0x5E, 0, 0, 0, 0, 0, 0, 0, 64, 0], receiving: 64)
            #expect(try session.demand(keys).count == 8)
            let select = Command(cdb: [0x15, 0x11, 0, 0, 0, 0])
            #expect(try session.perform(select).sense == .init(key: 4, additional: 0x4400))
            #expect(try register(flags: 0).status == Outcome.good)
            #expect(try session.demand(keys).count == 16)
            process.send(SIGTERM)
            #expect(try process.wait(limitSeconds: MartletServer.stopLimitSeconds) == .exit(0))
        }

        @Test("A second server does not take the folder of one that runs, and damage is told by the file's name")
        func refusals() throws {
            let folder = try TemporaryFolder()
            let state = folder.file("state")
            let scene = try Scene(folder)
            let arguments = ["serve", "--portal", "127.0.0.1:0", "--state-dir", state, "ram/64K"]
            let second = try Program.run(MartletServer.path, arguments)
            #expect(second.ending == .exit(1) && second.error.contains("another martlet that is running"))
            let select = Command(cdb: [0x15, 0x11, 0, 0, 0, 0])
            #expect(try scene.perform(select, by: Self.portNames[0]).status == Outcome.good)
            try scene.server.stop()
            let files = try FileManager.default.contentsOfDirectory(atPath: state).filter { $0.hasSuffix(".json") }
            let file = state + "/" + (try #require(files.first))
            try Data("{".utf8).write(to: URL(fileURLWithPath: file))
            let third = try Program.run(MartletServer.path, arguments)
            #expect(third.ending == .exit(1) && third.error.contains(file) && third.error.contains("move it away"))
        }

        @Test("Without a folder nothing is claimed to be durable")
        func withoutFolder() throws {
            let folder = try TemporaryFolder()
            let process = try ChildProcess(
                MartletServer.path, ["serve", "--portal", "127.0.0.1:0", "ram/64K"],
                errorPath: folder.file("standard-error"))
            try process.readOutput(limitSeconds: MartletServer.startLimitSeconds) { $0.contains("\n") }
            let url = try #require(LogicalUnitURL(process.standardOutput.trimmingCharacters(in: .newlines)))
            let session = try WireSession(url)
            let data = try session.demand(Command(cdb: [0x5E, 2, 0, 0, 0, 0, 0, 0, 8, 0], receiving: 8))
            #expect(data[2] & 0x01 == 0, "PTPL_C")
            let list = bigEndian(0, count: 8) + bigEndian(5, count: 8) + [0, 0, 0, 0, 1, 0, 0, 0]
            let register = try session.perform(Command(cdb: [0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0], sending: list))
            #expect(register.sense == .init(key: 5, additional: 0x2600))
            let saved = try session.perform(Command(cdb: [0x1A, 0x08, 0xCA, 0, 64, 0], receiving: 64))
            #expect(saved.sense == .init(key: 5, additional: 0x3900))
            process.send(SIGTERM)
            #expect(try process.wait(limitSeconds: MartletServer.stopLimitSeconds) == .exit(0))
        }
    }
}
