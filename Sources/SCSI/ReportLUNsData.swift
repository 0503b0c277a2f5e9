// SPDX-License-Identifier: Apache-2.0

/// SELECT REPORT of REPORT LUNS (SPC-5). All other values are reserved or vendor specific.
public enum SelectReport: UInt8, Sendable {
    /// All but well known logical units.
    case addressed = 0x00
    case wellKnown = 0x01
    case all = 0x02
    /// Administrative logical units only.
    case administrative = 0x10
    /// Administrative logical units, and those that belong to no conglomerate.
    case administrativeAndSimple = 0x11
    /// The addressed administrative logical unit and its subsidiaries.
    case subsidiary = 0x12
}

/// Parameter data of REPORT LUNS: eight bytes, then eight for each logical unit.
///
/// A target without logical unit conglomerates has no administrative logical units: reports 10h and 12h are empty,
/// and 11h is the same as 00h.
public struct ReportLUNsData: Equatable, Sendable {
    public var logicalUnits: [LogicalUnitNumber]
    public var wellKnown: [LogicalUnitNumber]

    public init(logicalUnits: [LogicalUnitNumber], wellKnown: [LogicalUnitNumber] = []) {
        self.logicalUnits = logicalUnits
        self.wellKnown = wellKnown
    }

    public func write(_ report: SelectReport, to writer: inout ParameterDataWriter) {
        let listLength = writer.reserveLength(.fourBytes)
        writer.appendZeroes(4)
        switch report {
        case .addressed, .administrativeAndSimple:
            append(logicalUnits, to: &writer)
        case .wellKnown:
            append(wellKnown, to: &writer)
        case .all:
            append(logicalUnits, to: &writer)
            append(wellKnown, to: &writer)
        case .administrative, .subsidiary:
            break
        }
        writer.fill(listLength, adding: -4)
    }

    private func append(_ list: [LogicalUnitNumber], to writer: inout ParameterDataWriter) {
        for lun in list { writer.append(lun.rawValue) }
    }
}
