// SPDX-License-Identifier: Apache-2.0

internal import HandlerABI

/// Why a command ended badly.
public enum HandlerError: Error, Equatable, Sendable {
    /// MEDIUM ERROR, UNRECOVERED READ ERROR.
    case readError
    /// MEDIUM ERROR, WRITE ERROR.
    case writeError
    /// HARDWARE ERROR, INTERNAL TARGET FAILURE.
    case hardwareError
    /// DATA PROTECT, WRITE PROTECTED.
    case writeProtected
    /// ILLEGAL REQUEST, LOGICAL BLOCK ADDRESS OUT OF RANGE.
    case outOfRange
    /// ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE.
    case notSupported
    /// ILLEGAL REQUEST, INVALID FIELD IN CDB.
    case invalidFieldInCDB
    /// ILLEGAL REQUEST, INVALID FIELD IN PARAMETER LIST.
    case invalidFieldInParameterList
    /// ILLEGAL REQUEST, PARAMETER LIST LENGTH ERROR.
    case parameterListLengthError
    /// MISCOMPARE, MISCOMPARE DURING VERIFY OPERATION: the first byte that differs, counted from the first compared.
    case miscompare(atByte: UInt32)
    /// Status BUSY: the initiator tries again later.
    case busy
    /// Status TASK SET FULL: the initiator sends less at a time.
    case noResource
    /// Status BUSY: the command took too long, or was given up because its initiator had aborted it.
    case timeout
    /// CHECK CONDITION with this sense key, additional sense code (high byte) and qualifier (low byte).
    case sense(key: UInt8, code: UInt16)

    /// WRITE PROTECTED, SPC-5 annex F.
    private static let writeProtectedCode: UInt16 = 0x2700

    /// The TCMU_STS_* that says it, with sense data left in `senseBuffer` where the status stands for such.
    ///
    /// `senseBuffer` has room for SENSE_BUFFERSIZE bytes, or is nil where there is no command.
    func status(_ senseBuffer: UnsafeMutablePointer<UInt8>?) -> Int32 {
        switch self {
        case .readError: CalloutStatus.readError
        case .writeError: CalloutStatus.writeError
        case .hardwareError: CalloutStatus.hardwareError
        case .outOfRange: CalloutStatus.outOfRange
        case .notSupported: CalloutStatus.invalidCommand
        case .invalidFieldInCDB: CalloutStatus.invalidCDB
        case .busy: CalloutStatus.busy
        case .noResource: CalloutStatus.noResource
        case .timeout: CalloutStatus.timeout
        case .invalidFieldInParameterList: CalloutStatus.invalidParameterList
        case .parameterListLengthError: CalloutStatus.parameterListLength
        case .miscompare(let byte): unsafe Self.miscompare(senseBuffer, byte)
        case .writeProtected: unsafe Self.sense(senseBuffer, UInt8(DATA_PROTECT), Self.writeProtectedCode)
        case .sense(let key, let code): unsafe Self.sense(senseBuffer, key, code)
        }
    }

    private static func sense(_ buffer: UnsafeMutablePointer<UInt8>?, _ key: UInt8, _ code: UInt16) -> Int32 {
        guard let buffer = unsafe buffer else { return CalloutStatus.hardwareError }
        // Writes SENSE_BUFFERSIZE bytes.
        return unsafe tcmu_sense_set_data(buffer, key, code)
    }
}

extension HandlerError {
    private static func miscompare(_ buffer: UnsafeMutablePointer<UInt8>?, _ byte: UInt32) -> Int32 {
        // Writes INFORMATION, which the host then takes from there.
        if let buffer = unsafe buffer { unsafe tcmu_sense_set_info(buffer, byte) }
        return CalloutStatus.miscompare
    }
}

/// TCMU_STS_* as callouts return them.
enum CalloutStatus {
    static let ok = Int32(TCMU_STS_OK)
    static let readError = Int32(TCMU_STS_RD_ERR)
    static let writeError = Int32(TCMU_STS_WR_ERR)
    static let hardwareError = Int32(TCMU_STS_HW_ERR)
    static let outOfRange = Int32(TCMU_STS_RANGE)
    static let invalidCommand = Int32(TCMU_STS_INVALID_CMD)
    static let invalidCDB = Int32(TCMU_STS_INVALID_CDB)
    static let busy = Int32(TCMU_STS_BUSY)
    static let noResource = Int32(TCMU_STS_NO_RESOURCE)
    static let timeout = Int32(TCMU_STS_TIMEOUT)
    static let miscompare = Int32(TCMU_STS_MISCOMPARE)
    static let invalidParameterList = Int32(TCMU_STS_INVALID_PARAM_LIST)
    static let parameterListLength = Int32(TCMU_STS_INVALID_PARAM_LIST_LEN)
    static let notHandled = Int32(TCMU_STS_NOT_HANDLED)
    static let asyncHandled = Int32(TCMU_STS_ASYNC_HANDLED)
}

/// Why a store cannot be opened or described.
public struct HandlerRefusal: Error, Equatable, Sendable {
    /// A positive number of errno.
    public var code: Int32
    /// One sentence without a full stop, which names what is wrong and says what to do.
    public var reason: String

    /// A number of errno, such as `ENOENT`, and a sentence without a full stop.
    public init(code: Int32, reason: String) {
        self.code = code
        self.reason = reason
    }
}
