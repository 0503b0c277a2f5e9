// SPDX-License-Identifier: Apache-2.0

// Conditions of a medium that is formatted, sanitized, tested or at rest; T10's words.

extension AdditionalSense {
    public static let sanitizeCommandFailed = AdditionalSense(0x31, 0x03)
    public static let logicalUnitFailedSelfTest = AdditionalSense(0x3E, 0x03)
    public static let lowPowerConditionOn = AdditionalSense(0x5E, 0x00)
    public static let idleConditionActivatedByCommand = AdditionalSense(0x5E, 0x03)
    public static let standbyConditionActivatedByCommand = AdditionalSense(0x5E, 0x04)
    public static let idleBConditionActivatedByCommand = AdditionalSense(0x5E, 0x06)
    public static let idleCConditionActivatedByCommand = AdditionalSense(0x5E, 0x08)
    public static let standbyYConditionActivatedByCommand = AdditionalSense(0x5E, 0x0A)
}

extension SenseData {
    /// `progress`: the part done, in 1/65,536.
    public static func selfTestInProgress(progress: UInt16? = nil) -> SenseData {
        SenseData(.notReady, .logicalUnitNotReadySelfTestInProgress, specific: progress.map(SenseKeySpecific.progress))
    }

    public static var sanitizeCommandFailed: SenseData { SenseData(.mediumError, .sanitizeCommandFailed) }

    /// FORMAT UNIT was cut off or failed, and has to be repeated.
    public static var mediumFormatCorrupted: SenseData { SenseData(.mediumError, .mediumFormatCorrupted) }

    public static var logicalUnitFailedSelfTest: SenseData { SenseData(.hardwareError, .logicalUnitFailedSelfTest) }
}

/// POWER CONDITION and POWER CONDITION MODIFIER of START STOP UNIT (SBC-4 5.31): what a unit can be asked for.
public struct PowerCondition: Equatable, Sendable {
    public enum Code: UInt8, Sendable {
        /// START_VALID: START and LOEJ say what is to be done.
        case startValid = 0x0
        case active = 0x1
        case idle = 0x2
        case standby = 0x3
        /// LU_CONTROL: the unit's own timers decide.
        case logicalUnitControl = 0x7
        /// FORCE_IDLE_0 and FORCE_STANDBY_0: as if a timer had run out.
        case forceIdle = 0xA
        case forceStandby = 0xB

        /// POWER CONDITION MODIFIER values that are not reserved.
        var modifiers: ClosedRange<UInt8> {
            switch self {
            case .startValid, .active, .logicalUnitControl: 0...0
            case .idle, .forceIdle: 0...2
            case .standby, .forceStandby: 0...1
            }
        }
    }

    public let code: Code
    public let modifier: UInt8

    private static let byte = 4
    private static let highestBit = 7
    private static let modifierByte = 3
    private static let modifierHighestBit = 3

    /// Leaves the unit to itself, as it is.
    public static let unchanged = PowerCondition(code: .logicalUnitControl, modifier: 0)

    private init(code: Code, modifier: UInt8) {
        self.code = code
        self.modifier = modifier
    }

    /// Throws for reserved values. With START_VALID the modifier is not looked at.
    public init(_ cdb: CommandDescriptorBlock) throws(SenseData) {
        guard let code = Code(rawValue: cdb[Self.byte] >> 4) else {
            throw .invalidFieldInCDB(byte: Self.byte, bit: Self.highestBit)
        }
        let modifier = cdb[Self.modifierByte] & 0x0F
        guard code == .startValid || code.modifiers.contains(modifier) else {
            throw .invalidFieldInCDB(byte: Self.modifierByte, bit: Self.modifierHighestBit)
        }
        self.code = code
        self.modifier = modifier
    }

    /// What REQUEST SENSE tells of a unit at rest; nil: it is active.
    public var restingSense: SenseData? {
        switch (code, modifier) {
        case (.idle, 0), (.forceIdle, 0): SenseData(.noSense, .idleConditionActivatedByCommand)
        case (.idle, 1), (.forceIdle, 1): SenseData(.noSense, .idleBConditionActivatedByCommand)
        case (.idle, _), (.forceIdle, _): SenseData(.noSense, .idleCConditionActivatedByCommand)
        case (.standby, 0), (.forceStandby, 0): SenseData(.noSense, .standbyConditionActivatedByCommand)
        case (.standby, _), (.forceStandby, _): SenseData(.noSense, .standbyYConditionActivatedByCommand)
        case (.startValid, _), (.active, _), (.logicalUnitControl, _): nil
        }
    }
}
