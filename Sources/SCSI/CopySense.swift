// SPDX-License-Identifier: Apache-2.0

// Conditions of third-party copies and of ROD tokens. T10's words, in the order of the sense keys.

// ILLEGAL REQUEST
extension SenseData {
    /// The list identifier belongs to a copy that is under way.
    public static var operationInProgress: SenseData { SenseData(.illegalRequest, .operationInProgress) }

    // INVALID TOKEN OPERATION, and why.
    public static var unsupportedTokenType: SenseData { SenseData(.illegalRequest, .unsupportedTokenType) }
    public static var tokenUnknown: SenseData { SenseData(.illegalRequest, .tokenUnknown) }
    public static var tokenCorrupt: SenseData { SenseData(.illegalRequest, .tokenCorrupt) }
    public static var tokenRevoked: SenseData { SenseData(.illegalRequest, .tokenRevoked) }
    public static var tokenExpired: SenseData { SenseData(.illegalRequest, .tokenExpired) }
    public static var tokenDeleted: SenseData { SenseData(.illegalRequest, .tokenDeleted) }
    public static var invalidTokenLength: SenseData { SenseData(.illegalRequest, .invalidTokenLength) }

    public static var insufficientResourcesToCreateRODToken: SenseData {
        SenseData(.illegalRequest, .insufficientResourcesToCreateRODToken)
    }

    public static var invalidOperationForCopySourceOrDestination: SenseData {
        SenseData(.illegalRequest, .invalidOperationForCopySourceOrDestination)
    }

    public static var copySegmentGranularityViolation: SenseData {
        SenseData(.illegalRequest, .copySegmentGranularityViolation)
    }
}

// COPY ABORTED
extension SenseData {
    /// A copy ended in the midst of, or because of, segment descriptor `segment` (SPC-4 5.17.7.4): it stands in the
    /// last two bytes of COMMAND-SPECIFIC INFORMATION.
    ///
    /// `residue`: blocks of the segment that were not copied, in the unit of its count; nil: none were tried.
    /// `byte`: the field of the segment descriptor that is wrong, where it is one.
    public static func copyAborted(
        _ additional: AdditionalSense, segment: Int, residue: UInt64? = nil, byte: Int? = nil
    ) -> SenseData {
        SenseData(
            .copyAborted, additional, information: residue, commandSpecific: UInt64(UInt16(clamping: segment)),
            specific: byte.map {
                .segmentPointer(.init(isInSegmentDescriptor: true, byte: UInt16(clamping: $0), bit: nil))
            })
    }

    /// The same because of a field of a CSCD descriptor; `byte` counts from the start of the parameter list.
    public static func copyAborted(_ additional: AdditionalSense, parameterListByte byte: Int) -> SenseData {
        SenseData(
            .copyAborted, additional,
            specific: .segmentPointer(.init(isInSegmentDescriptor: false, byte: UInt16(clamping: byte), bit: nil)))
    }

    /// Another command ended the copy, which was told so by its list identifier.
    public static var copyOperationTerminated: SenseData {
        SenseData(.copyAborted, .noAdditionalSenseInformation)
    }
}
