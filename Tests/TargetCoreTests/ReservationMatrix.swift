// SPDX-License-Identifier: Apache-2.0

import SCSI

/// Which commands run under a persistent reservation of another, typed in from SPC-4 table 66 and SBC-4's table of the
/// same name, in the order of their columns: from any I_T nexus that does not hold a Write Exclusive reservation; the
/// same for Exclusive Access; from a registered one with a registrants only or all registrants type; from one that is
/// not registered with such a Write Exclusive type; the same for Exclusive Access. A: allowed; C: conflict.
enum ReservationMatrix {
    struct Entry {
        let opcode: UInt8
        let serviceAction: UInt16?
        /// Nil: it depends on the CDB; see `variants`.
        let columns: String?
    }

    private static let allowed = "AAAAA"
    /// They look at the medium, or at what a holder may keep to itself.
    private static let reading = "ACAAC"
    private static let conflict = "CCACC"

    static func entry(opcode: UInt8, serviceAction: UInt16?) -> Entry? {
        entries.first { $0.opcode == opcode && $0.serviceAction == serviceAction }
    }

    /// Commands that the standard's tables split by a field of the CDB.
    static let variants: [(name: String, cdb: [UInt8], columns: String)] = [
        ("START STOP UNIT, START 1, POWER CONDITION 0", [0x1B, 0, 0, 0, 0x01, 0], allowed),
        ("START STOP UNIT, START 0", [0x1B, 0, 0, 0, 0x00, 0], conflict),
        ("START STOP UNIT, LOEJ 1, START 0", [0x1B, 0, 0, 0, 0x02, 0], conflict),
        ("START STOP UNIT, POWER CONDITION 1", [0x1B, 0, 0, 0, 0x10, 0], conflict),
        ("PREVENT ALLOW MEDIUM REMOVAL, PREVENT 0", [0x1E, 0, 0, 0, 0x00, 0], allowed),
        ("PREVENT ALLOW MEDIUM REMOVAL, PREVENT 1", [0x1E, 0, 0, 0, 0x01, 0], conflict),
    ]

    private static let entries: [Entry] = primary + copying + maintenance + medium + long

    private static func all(_ opcodes: [UInt8], _ columns: String?) -> [Entry] {
        opcodes.map { Entry(opcode: $0, serviceAction: nil, columns: columns) }
    }

    private static func all(_ opcode: UInt8, _ actions: [UInt16], _ columns: String?) -> [Entry] {
        actions.map { Entry(opcode: opcode, serviceAction: $0, columns: columns) }
    }

    /// SPC-4 table 66.
    private static let primary: [Entry] =
        // TEST UNIT READY, REQUEST SENSE, INQUIRY, LOG SENSE, REPORT LUNS
        all([0x00, 0x03, 0x12, 0x4D, 0xA0], allowed)
        // MODE SENSE(6), (10), RECEIVE DIAGNOSTIC RESULTS, READ BUFFER(10), (16), SECURITY PROTOCOL IN
        + all([0x1A, 0x5A, 0x1C, 0x3C, 0x9B, 0xA2], reading)
        // MODE SELECT(6), (10), SEND DIAGNOSTIC, WRITE BUFFER, LOG SELECT, SECURITY PROTOCOL OUT
        + all([0x15, 0x55, 0x1D, 0x3B, 0x4C, 0xB5], conflict)
        // RESERVE(6), (10), RELEASE(6), (10): SPC-4 5.12.3, CRH one
        + all([0x16, 0x56, 0x17, 0x57], conflict)
        // PERSISTENT RESERVE IN; PERSISTENT RESERVE OUT has a table of its own.
        + all(0x5E, [0x00, 0x01, 0x02, 0x03], allowed)
        + all(0x5F, [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08], nil)

    private static let copying: [Entry] =
        // EXTENDED COPY(LID1), (LID4), WRITE USING TOKEN, COPY OPERATION ABORT
        all(0x83, [0x00, 0x01, 0x11, 0x1C], conflict)
        // POPULATE TOKEN
        + all(0x83, [0x10], reading)
        // RECEIVE COPY STATUS, DATA, OPERATING PARAMETERS, RECEIVE COPY FAILURE DETAILS, ROD TOKEN INFORMATION, REPORT ALL
        // ROD TOKENS
        + all(0x84, [0x00, 0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08], conflict)

    private static let maintenance: [Entry] =
        // REPORT IDENTIFYING INFORMATION, TARGET PORT GROUPS, ALIASES, PRIORITY, TIMESTAMP
        all(0xA3, [0x05, 0x0A, 0x0B, 0x0E, 0x0F], allowed)
        // REPORT SUPPORTED OPERATION CODES, TASK MANAGEMENT FUNCTIONS
        + all(0xA3, [0x0C, 0x0D], reading)
        // SET IDENTIFYING INFORMATION, TARGET PORT GROUPS, CHANGE ALIASES, SET PRIORITY, TIMESTAMP
        + all(0xA4, [0x06, 0x0A, 0x0B, 0x0E, 0x0F], conflict)

    /// SBC-4.
    private static let medium: [Entry] =
        // READ CAPACITY(10)
        all([0x25], allowed)
        // READ(6), (10), (12), (16), VERIFY(10), (12), (16), PRE-FETCH(10), (16), READ DEFECT DATA(10), (12)
        + all([0x08, 0x28, 0xA8, 0x88, 0x2F, 0xAF, 0x8F, 0x34, 0x90, 0x37, 0xB7], reading)
        // FORMAT UNIT, REASSIGN BLOCKS, WRITE(6), (10), (12), (16), WRITE ATOMIC(16)
        + all([0x04, 0x07, 0x0A, 0x2A, 0xAA, 0x8A, 0x9C], conflict)
        // WRITE AND VERIFY(10), (12), (16), SYNCHRONIZE CACHE(10), (16), WRITE SAME(10), (16), UNMAP
        + all([0x2E, 0xAE, 0x8E, 0x35, 0x91, 0x41, 0x93, 0x42], conflict)
        // READ LONG(10), WRITE LONG(10), COMPARE AND WRITE, ORWRITE(16)
        + all([0x3E, 0x3F, 0x89, 0x8B], conflict)
        // START STOP UNIT, PREVENT ALLOW MEDIUM REMOVAL
        + all([0x1B, 0x1E], nil)

    private static let long: [Entry] =
        // SANITIZE: OVERWRITE, BLOCK ERASE, CRYPTOGRAPHIC ERASE, EXIT FAILURE MODE
        all(0x48, [0x01, 0x02, 0x03, 0x1F], conflict)
        // READ CAPACITY(16), REPORT REFERRALS
        + all(0x9E, [0x10, 0x13], allowed)
        // GET LBA STATUS
        + all(0x9E, [0x12], reading)
        // READ LONG(16), WRITE LONG(16)
        + all(0x9E, [0x11], conflict) + all(0x9F, [0x11], conflict)
        // READ(32), VERIFY(32)
        + all(0x7F, [0x0009, 0x000A], reading)
        // WRITE(32), WRITE AND VERIFY(32), WRITE SAME(32), ORWRITE(32)
        + all(0x7F, [0x000B, 0x000C, 0x000D, 0x000E], conflict)
}
