// SPDX-License-Identifier: Apache-2.0

internal import SCSI
internal import TargetCore

/// Registrations and reservations of one LUN.
public struct ReservationReport: Codable, Equatable, Sendable {
    /// The two ends of an I_T nexus.
    public struct Nexus: Codable, Equatable, Sendable {
        /// SCSI initiator port name: the iSCSI name and the ISID.
        public var initiatorPort = ""
        public var target = ""
        public var relativeTargetPort: UInt16 = 0

        public init() {}
    }

    public struct Registration: Codable, Equatable, Sendable {
        public var nexus = Nexus()
        /// 16 hexadecimal digits.
        public var key = ""
        public var isHolder = false

        public init() {}
    }

    public var target = ""
    public var lun = 0
    public var serial = ""
    /// The type of the persistent reservation in SPC's words; nil: there is none.
    public var type: String?
    public var registrations: [Registration] = []
    /// PRGENERATION
    public var generation: UInt32 = 0
    /// APTPL: all of this outlives the server.
    public var persistsThroughPowerLoss = false
    /// Who holds the unit by a RESERVE command.
    public var reserver: Nexus?

    public init() {}

    init(target: String, lun: Int, serial: String, _ status: ReservationStatus) {
        self.target = target
        self.lun = lun
        self.serial = serial
        type = status.type.map(Self.words)
        registrations = status.registrations.map { Registration($0) }
        generation = status.generation
        persistsThroughPowerLoss = status.persistsThroughPowerLoss
        reserver = status.reserver.map { Nexus($0) }
    }

    private static func words(_ type: ReservationType) -> String {
        switch type {
        case .writeExclusive: "write exclusive"
        case .exclusiveAccess: "exclusive access"
        case .writeExclusiveRegistrantsOnly: "write exclusive, registrants only"
        case .exclusiveAccessRegistrantsOnly: "exclusive access, registrants only"
        case .writeExclusiveAllRegistrants: "write exclusive, all registrants"
        case .exclusiveAccessAllRegistrants: "exclusive access, all registrants"
        }
    }

    // MARK: - For people

    /// A line for each registration, and for each RESERVE.
    public static func table(_ reports: [ReservationReport]) -> String {
        var table = TextTable(
            headings: ["LUN", "KEY", "HOLDS", "APTPL", "GENERATION", "PORT", "INITIATOR PORT", "TARGET"])
        for each in reports {
            for registration in each.registrations {
                table.add([
                    "\(each.lun)", registration.key, registration.isHolder ? each.type ?? "-" : "-",
                    each.persistsThroughPowerLoss ? "yes" : "no", "\(each.generation)",
                    "\(registration.nexus.relativeTargetPort)", registration.nexus.initiatorPort, each.target,
                ])
            }
            guard let reserver = each.reserver else { continue }
            table.add([
                "\(each.lun)", "-", "RESERVE", "no", "\(each.generation)", "\(reserver.relativeTargetPort)",
                reserver.initiatorPort, each.target,
            ])
        }
        return table.isEmpty ? "No registrations, no reservations.\n" : table.text()
    }
}

extension ReservationReport.Nexus {
    fileprivate init(_ nexus: ReservationStatus.Nexus) {
        initiatorPort = nexus.initiatorPortName
        target = nexus.targetName
        relativeTargetPort = nexus.relativeTargetPort
    }
}

extension ReservationReport.Registration {
    private static let keyDigitCount = 16

    fileprivate init(_ registration: ReservationStatus.Registration) {
        nexus = ReservationReport.Nexus(registration.nexus)
        let digits = String(registration.key, radix: 16)
        key = String(repeating: "0", count: Self.keyDigitCount - digits.utf8.count) + digits
        isHolder = registration.isHolder
    }
}
