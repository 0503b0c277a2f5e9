// SPDX-License-Identifier: Apache-2.0

import SCSI
import Testing

struct SupportedFunctionsTests {
    static let testUnitReady = SupportedCommand(operationCode: 0x00, usage: CDBUsage([0, 0, 0, 0, 0]))
    static let readCapacity16 = SupportedCommand(
        operationCode: 0x9E, serviceAction: 0x10,
        usage: CDBUsage([0x1F] + [UInt8](repeating: 0xFF, count: 12) + [0, 0]),
        timeouts: CommandTimeouts(nominalSeconds: 1, recommendedSeconds: 30))

    @Test("all commands are listed with eight bytes each, or with timeouts")
    func allCommands() {
        let commands = [Self.testUnitReady, Self.readCapacity16]
        #expect(
            written { SupportedCommand.write(all: commands, withTimeouts: false, to: &$0) }
                == hex("00 00 00 10  00 00 00 00 00 00 00 06  9E 00 00 10 00 01 00 10"))
        #expect(
            written { SupportedCommand.write(all: commands, withTimeouts: true, to: &$0) }
                == hex(
                    """
                    00 00 00 28
                    00 00 00 00 00 02 00 06  00 0A 00 00 00 00 00 00 00 00 00 00
                    9E 00 00 10 00 03 00 10  00 0A 00 00 00 00 00 01 00 00 00 1E
                    """))
        #expect(isCutOffCleanly { SupportedCommand.write(all: commands, withTimeouts: true, to: &$0) })
    }

    @Test("one command is told with its CDB usage data")
    func oneCommand() {
        #expect(
            written { SupportedCommand.write(one: Self.testUnitReady, withTimeouts: false, to: &$0) }
                == hex("00 03 00 06 00 00 00 00 00 00"))
        #expect(
            written { SupportedCommand.write(one: Self.readCapacity16, withTimeouts: true, to: &$0) }
                == hex(
                    """
                    00 83 00 10 9E 10 FF FF FF FF FF FF FF FF FF FF FF FF 00 00
                    00 0A 00 00 00 00 00 01 00 00 00 1E
                    """))
        #expect(isCutOffCleanly { SupportedCommand.write(one: Self.readCapacity16, withTimeouts: true, to: &$0) })
    }

    @Test("a command that is not supported has neither usage data nor timeouts", arguments: [false, true])
    func notSupported(withTimeouts: Bool) {
        #expect(
            written { SupportedCommand.write(one: nil, withTimeouts: withTimeouts, to: &$0) } == hex("00 01 00 00"))
    }

    @Test("the request's fields stand where SPC-4 puts them")
    func request() {
        let request = SupportedOperationCodesRequest([0xA3, 0x0C, 0x83, 0x9E, 0x01, 0x12, 0x81, 0x02, 0x03, 0x04, 0, 0])
        #expect(request.returnsTimeouts)
        #expect(request.options == .oneEither)
        #expect(request.operationCode == 0x9E)
        #expect(request.serviceAction == 0x0112)
        #expect(request.allocationLength == 0x8102_0304)
        let reserved = SupportedOperationCodesRequest([0xA3, 0x0C, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(reserved.options == nil)
        #expect(!reserved.returnsTimeouts)
    }

    @Test(
        "each task management function has its bit",
        arguments: [
            (SupportedTaskManagementFunctions.abortTask, "80 00"), (.abortTaskSet, "40 00"), (.clearACA, "20 00"),
            (.clearTaskSet, "10 00"), (.logicalUnitReset, "08 00"), (.queryTask, "04 00"), (.targetReset, "02 00"),
            (.queryAsynchronousEvent, "00 04"), (.queryTaskSet, "00 02"), (.iTNexusReset, "00 01"),
        ])
    func taskManagement(function: SupportedTaskManagementFunctions, bytes: String) {
        #expect(written { function.write(to: &$0) } == hex(bytes + " 00 00"))
        #expect(
            written { function.writeExtended(short: function, longTimeout: 300, shortTimeout: 1, to: &$0) }
                == hex(bytes + " 00 0C 01 00 " + bytes + " 00 00 01 2C 00 00 00 01"))
    }

    @Test("extended data without timeouts say that they hold none")
    func noTimeouts() {
        let functions: SupportedTaskManagementFunctions = [.abortTask, .logicalUnitReset]
        #expect(
            written { functions.writeExtended(to: &$0) }
                == hex("88 00 00 0C 00 00 00 00 00 00 00 00 00 00 00 00"))
        #expect(isCutOffCleanly { functions.writeExtended(to: &$0) })
        #expect(isCutOffCleanly { functions.write(to: &$0) })
    }
}
