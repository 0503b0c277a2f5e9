// SPDX-License-Identifier: Apache-2.0

/// The first four bytes of a response's payload (RFC 4171 5.4). A status that is not zero refuses the whole request.
public struct ISNSStatus: RawRepresentable, Equatable, Sendable, CustomStringConvertible {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let successful = ISNSStatus(rawValue: 0)
    public static let messageFormatError = ISNSStatus(rawValue: 2)
    public static let invalidRegistration = ISNSStatus(rawValue: 3)
    public static let sourceUnknown = ISNSStatus(rawValue: 6)
    public static let noSuchEntry = ISNSStatus(rawValue: 9)
    public static let messageNotSupported = ISNSStatus(rawValue: 15)
    public static let registrationFeatureNotSupported = ISNSStatus(rawValue: 23)

    private static let words = [
        "Successful", "Unknown Error", "Message Format Error", "Invalid Registration", "RESERVED", "Invalid Query",
        "Source Unknown", "Source Absent", "Source Unauthorized", "No Such Entry", "Version Not Supported",
        "Internal Error", "Busy", "Option Not Understood", "Invalid Update", "Message (FUNCTION_ID) Not Supported",
        "SCN Event Rejected", "SCN Registration Rejected", "Attribute Not Implemented", "FC_DOMAIN_ID Not Available",
        "FC_DOMAIN_ID Not Allocated", "ESI Not Available", "Invalid Deregistration",
        "Registration Feature Not Supported",
    ]

    /// The RFC's words, with the number.
    public var description: String {
        let index = Int(rawValue)
        return index < Self.words.count ? "\(Self.words[index]) (\(rawValue))" : "status \(rawValue)"
    }
}
