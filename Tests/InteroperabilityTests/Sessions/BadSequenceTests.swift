// SPDX-License-Identifier: Apache-2.0
import TestInitiator
import Testing

extension Interoperability.Sessions {
    /// Wrong numbers, tags, offsets, lengths and digests in the full feature phase.
    @Suite("Sessions: bad sequences")
    struct BadSequenceTests {
        @Test("Every broken rule of the full feature phase has the RFC's answer, and harms no other session")
        func rules() throws {
            let server = try MartletServer("ram/1M")
            let bystander = try server.url.session { $0.isid = 0x8000_0000_0B0B }
            for rule in SequenceRule.all {
                let session = try server.url.session {
                    rule.options(&$0)
                    $0.timeoutSeconds = 5
                }
                session.options.answersPings = true
                var isDropped = false
                var task: InitiatorTask?
                do {
                    task = try rule.play(session)
                    session.obeysWindow = false
                    try session.ping()
                    if let task, case .sense = rule.answer { try session.wait(for: task) }
                } catch let failure as InitiatorFailure where failure.kind == .connectionClosed {
                    isDropped = true
                } catch {
                    Issue.record("\(rule.testDescription): \(error)")
                    continue
                }
                let reasons = session.rejects.map(\.reason)
                let told = "\(rule.testDescription): rejects \(reasons), dropped \(isDropped), \(task?.outcome as Any)"
                switch rule.answer {
                case .ignored: #expect(reasons.isEmpty && !isDropped, "\(told)")
                case .rejected(let allowed):
                    #expect(reasons.count == 1 && allowed.contains(reasons[0]) && !isDropped, "\(told)")
                case .rejectedOrIgnored(let allowed):
                    #expect(reasons.count <= 1 && allowed.isSuperset(of: reasons) && !isDropped, "\(told)")
                case .sense(let code): #expect(task?.outcome?.senseCode == code && !isDropped, "\(told)")
                case .dropped: #expect(isDropped, "\(told)")
                }
                for cid in session.liveCIDs { session.cut(cid) }
            }
            try bystander.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }

        @Test("Logouts and task management that make no sense are answered, not done")
        func answers() throws {
            let server = try MartletServer("ram/1M")
            let session = try server.url.session()
            #expect(try session.logout(.closeConnection, about: 77).response == 1, "CID not found")
            #expect(try session.logout(.removeConnectionForRecovery).response == 2, "recovery is not supported")
            let task = try session.submit(.testUnitReady)
            try session.wait(for: task)
            #expect(try session.manage(.abortTask, task: task) == 1, "Task does not exist")
            #expect(try session.manage(.taskReassign, task: task) == 4, "reassignment is not supported")
            #expect(try session.manage(.logicalUnitReset, lun: 99) == 2, "LUN does not exist")
            var unknown = session.managementRequest(.queryTaskSet)
            unknown.header[1] = 0x80 | 0x3F
            let answer = try session.ask(unknown, awaiting: "a TMF response")
            #expect(answer.header[2] == 5, "Task management function not supported")
            try session.expectData(lba: 0, blockCount: 8)
            #expect(try session.logout().response == 0)
            try server.stop()
        }

        @Test("A bidirectional command that no unit supports is answered with both residuals")
        func bidirectional() throws {
            let server = try MartletServer("ram/1M")
            let session = try server.url.session()
            // XDWRITEREAD(10), of SBC-3, which SBC-4 has dropped.
            var command = InitiatorCommand(
                [0x53, 0, 0, 0, 0, 0, 0, 0, 1, 0], writing: [UInt8](repeating: 1, count: 512), readingByteCount: 512)
            for unsolicited in [InitiatorCommand.Unsolicited.most, .nothing] {
                command.unsolicited = unsolicited
                let outcome = try session.perform(command)
                #expect(outcome.senseCode == 0x52000, "INVALID COMMAND OPERATION CODE")
                #expect(outcome.residual == 512 && outcome.bidirectionalReadResidual == 512)
            }
            // An Extended CDB of 32 bytes: READ(32) needs protection information, and is refused by its own rule.
            let read32: [UInt8] = [0x7F, 0, 0, 0, 0, 0, 0, 24, 0, 9] + [UInt8](repeating: 0, count: 22)
            let extended = try session.perform(InitiatorCommand(read32, readingByteCount: 512))
            #expect(extended.status == CommandOutcome.checkCondition && extended.residual == 512)
            try session.expectData(lba: 0, blockCount: 8)
            try server.stop()
        }

        @Test("Residuals tell what was expected and not moved, and what would have been")
        func residuals() throws {
            let server = try MartletServer("ram/1M")
            let session = try server.url.session()
            var inquiry = InitiatorCommand.inquiry(byteCount: 36)
            inquiry.readingByteCount = 500
            #expect(try session.perform(inquiry).residual == 464)
            var read = InitiatorCommand.read(lba: 0, blockCount: 4)
            read.readingByteCount = 512
            let short = try session.perform(read)
            #expect(short.isGood && short.residual == -1536 && short.data.count == 512)
            var write = InitiatorCommand.write(lba: 0, InitiatorSession.pattern(lba: 0, blockCount: 2))
            write.expectedWriteByteCount = 4096
            let long = try session.perform(write)
            #expect(long.isGood && long.residual == 3072)
            try server.stop()
        }
    }
}
