// SPDX-License-Identifier: Apache-2.0

/// The vital product data of a logical unit (SPC-4 7.8): its pages, of which page 00h is the list.
public struct VitalProductData: Equatable, Sendable {
    public var peripheral: Peripheral
    /// All pages but 00h; each code once.
    public var pages: [Page]

    public init(peripheral: Peripheral = .disk, pages: [Page]) {
        self.peripheral = peripheral
        self.pages = pages
    }

    public enum Page: Equatable, Sendable {
        case unitSerialNumber(String)
        case deviceIdentification([DesignationDescriptor])
        case extendedInquiryData(ExtendedInquiryData)
        case thirdPartyCopy(ThirdPartyCopyPage)
        case modePagePolicy([ModePagePolicy])
        case ports([SCSIPortDescription])
        case blockLimits(BlockLimits)
        case blockDeviceCharacteristics(BlockDeviceCharacteristics)
        case logicalBlockProvisioning(LogicalBlockProvisioning)

        public var code: PageCode {
            switch self {
            case .unitSerialNumber: .unitSerialNumber
            case .deviceIdentification: .deviceIdentification
            case .extendedInquiryData: .extendedInquiryData
            case .thirdPartyCopy: .thirdPartyCopy
            case .modePagePolicy: .modePagePolicy
            case .ports: .ports
            case .blockLimits: .blockLimits
            case .blockDeviceCharacteristics: .blockDeviceCharacteristics
            case .logicalBlockProvisioning: .logicalBlockProvisioning
            }
        }

        /// What follows the page's four-byte header.
        fileprivate func writeBody(to writer: inout ParameterDataWriter) {
            switch self {
            case .unitSerialNumber(let serial): writer.append(ascii: serial, fieldByteCount: serial.utf8.count)
            case .deviceIdentification(let descriptors): for each in descriptors { each.write(to: &writer) }
            case .extendedInquiryData(let page): page.writeBody(to: &writer)
            case .thirdPartyCopy(let page): page.writeBody(to: &writer)
            case .modePagePolicy(let policies): for each in policies { each.write(to: &writer) }
            case .ports(let ports): for each in ports { each.write(to: &writer) }
            case .blockLimits(let page): page.writeBody(to: &writer)
            case .blockDeviceCharacteristics(let page): page.writeBody(to: &writer)
            case .logicalBlockProvisioning(let page): page.writeBody(to: &writer)
            }
        }
    }

    /// PAGE CODE of INQUIRY with EVPD.
    public enum PageCode: UInt8, Sendable {
        case supportedPages = 0x00
        case unitSerialNumber = 0x80
        case deviceIdentification = 0x83
        case extendedInquiryData = 0x86
        case thirdPartyCopy = 0x8F
        case modePagePolicy = 0x87
        case ports = 0x88
        case blockLimits = 0xB0
        case blockDeviceCharacteristics = 0xB1
        case logicalBlockProvisioning = 0xB2
    }

    /// Writes the page; false, with nothing written, when there is none with this code.
    public func write(pageCode: UInt8, to writer: inout ParameterDataWriter) -> Bool {
        if pageCode == PageCode.supportedPages.rawValue {
            writeSupportedPages(to: &writer)
            return true
        }
        guard let page = pages.first(where: { $0.code.rawValue == pageCode }) else { return false }
        writer.append(peripheral.byte)
        writer.append(pageCode)
        let pageLength = writer.reserveLength(.twoBytes)
        page.writeBody(to: &writer)
        writer.fill(pageLength)
        return true
    }

    /// SPC-4 7.8.16: ascending, itself included.
    private func writeSupportedPages(to writer: inout ParameterDataWriter) {
        writer.append(peripheral.byte)
        writer.append(PageCode.supportedPages.rawValue)
        let pageLength = writer.reserveLength(.twoBytes)
        writer.append(PageCode.supportedPages.rawValue)
        for code in pages.map(\.code.rawValue).sorted() { writer.append(code) }
        writer.fill(pageLength)
    }
}

/// Extended INQUIRY Data VPD page 86h (SPC-4 7.8.7).
public struct ExtendedInquiryData: Equatable, Sendable {
    /// SPT; nil: no protection information.
    public var protection: ProtectionType?
    /// GRD_CHK, APP_CHK, REF_CHK: what is checked when blocks are read.
    public var protectionChecks: ProtectionChecks = []
    /// GROUP_SUP: GROUP NUMBER fields have a meaning.
    public var supportsGrouping = false
    /// PRIOR_SUP
    public var supportsPriority = false
    /// HEADSUP, ORDSUP, SIMPSUP
    public var supportsHeadOfQueue = true
    public var supportsOrdered = true
    public var supportsSimple = true
    /// V_SUP: a volatile cache can be present.
    public var hasVolatileCache = false
    /// LUICLR: one report of REPORTED LUNS DATA HAS CHANGED clears it for all logical units of the I_T nexus,
    /// as SPC-4 requires.
    public var clearsReportedLUNsChangeOnce = true
    /// MAXIMUM SUPPORTED SENSE DATA LENGTH, bytes; zero does not tell.
    public var maximumSenseByteCount: UInt8 = 0

    public init() {}

    private static let bodyByteCount = 60

    fileprivate func writeBody(to writer: inout ParameterDataWriter) {
        let start = writer.byteCount
        // ACTIVATE_MICROCODE 00b
        writer.append(
            (protection?.supportedTypesField ?? 0) << 3 | .bit(protectionChecks.contains(.guardTag), 2)
                | .bit(protectionChecks.contains(.applicationTag), 1)
                | .bit(protectionChecks.contains(.referenceTag), 0))
        writer.append(
            .bit(supportsGrouping, 4) | .bit(supportsPriority, 3) | .bit(supportsHeadOfQueue, 2)
                | .bit(supportsOrdered, 1) | .bit(supportsSimple, 0))
        writer.append(.bit(hasVolatileCache, 0))
        writer.append(.bit(clearsReportedLUNsChangeOnce, 0))
        writer.appendZeroes(5)  // bytes 8 to 12
        writer.append(maximumSenseByteCount)
        writer.appendZeroes(Self.bodyByteCount - (writer.byteCount - start))
    }
}
