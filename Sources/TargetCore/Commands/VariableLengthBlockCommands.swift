// SPDX-License-Identifier: Apache-2.0

import SCSI

/// What the 32-byte forms of READ, WRITE, VERIFY, WRITE AND VERIFY and WRITE SAME have in common (SBC-4 5.16 and on): they
/// are there with protection information of type 2 alone, and say what its tags should be.
enum VariableLengthBlockCommands {
    private static let additionalLengthByte = 7
    /// ADDITIONAL CDB LENGTH
    private static let additionalLength: UInt8 = 24

    /// `flags`: the bits of byte 10 that the command has. GROUP NUMBER must be zero.
    static func row(
        _ name: String, _ serviceAction: ServiceAction.VariableLength, flags: UInt8,
        data: CommandDescriptor.DataDirection, traits: CommandDescriptor.Traits, reservation: ReservationRule,
        isSupported: @escaping @Sendable (LogicalUnit) -> Bool = { _ in true },
        plan: @escaping CommandDescriptor.Plan, perform: @escaping CommandDescriptor.Perform
    ) -> CommandDescriptor {
        let usage: [UInt8] =
            [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, flags, 0x00] + [UInt8](repeating: 0xFF, count: 20)
        return CommandDescriptor(
            name: name, opcode: .variableLength, variableLengthServiceAction: serviceAction, usage: usage, data: data,
            traits: traits, reservation: reservation,
            isSupported: { $0.protection?.type == .type2 && isSupported($0) },
            plan: { task, nexus throws(SenseData) in
                guard task.cdb[additionalLengthByte] == additionalLength else {
                    throw .invalidFieldInCDB(byte: additionalLengthByte)
                }
                return try plan(task, nexus)
            },
            perform: perform)
    }
}
