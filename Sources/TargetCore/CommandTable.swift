// SPDX-License-Identifier: Apache-2.0

import SCSI

/// The commands of a device server, found by operation code and service action.
public final class CommandTable: Sendable {
    public let rows: [CommandDescriptor]
    // One row for an operation code without service actions; a few for each of the others.
    private let byOpcode: [Borrowed<CommandDescriptor>?]
    private let withServiceAction: [[CommandDescriptor]]
    private let refusal: SenseData

    /// `refusal`: with what commands end for which there is no row.
    init(_ rows: [CommandDescriptor], refusal: SenseData = .invalidCommandOperationCode) {
        self.refusal = refusal
        self.rows = rows
        var byOpcode = [Borrowed<CommandDescriptor>?](repeating: nil, count: 256)
        for row in rows where row.serviceAction == nil {
            precondition(byOpcode[Int(row.opcode)] == nil, "two rows for one operation code")
            byOpcode[Int(row.opcode)] = Borrowed(row)
        }
        self.byOpcode = byOpcode
        var withServiceAction = [[CommandDescriptor]](repeating: [], count: 256)
        for row in rows where row.serviceAction != nil { withServiceAction[Int(row.opcode)].append(row) }
        self.withServiceAction = withServiceAction
    }

    /// The row of `cdb` as `unit` supports it, or the reason why there is none. The table keeps its rows alive.
    func row(for cdb: CommandDescriptorBlock, on unit: LogicalUnit) throws(SenseData) -> Borrowed<CommandDescriptor> {
        if let row = byOpcode[Int(cdb.opcode)], row.use({ $0.isSupported(by: unit) }) { return row }
        return Borrowed(try rowWithServiceAction(for: cdb, on: unit))
    }

    private func rowWithServiceAction(
        for cdb: CommandDescriptorBlock, on unit: LogicalUnit
    ) throws(SenseData) -> CommandDescriptor {
        var isOpcodeKnown = false
        for row in withServiceAction[Int(cdb.opcode)] where row.isSupported(by: unit) {
            isOpcodeKnown = true
            if row.serviceAction == cdb.serviceAction { return row }
        }
        guard isOpcodeKnown else { throw refusal }
        // Variable length commands have theirs in bytes 8 and 9 (SPC-4 4.2.4.2), the others in byte 1.
        if cdb.opcode == OperationCode.variableLength.rawValue { throw .invalidFieldInCDB(byte: 8, bit: 7) }
        throw .invalidFieldInCDB(
            byte: CommandDescriptor.serviceActionByte, bit: CommandDescriptor.serviceActionBit)
    }

    /// All rows that `unit` supports.
    func supportedRows(on unit: LogicalUnit) -> [CommandDescriptor] {
        rows.filter { $0.isSupported(by: unit) }
    }
}
