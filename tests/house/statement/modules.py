"""The modules that the written objects are made of (PS3.3 A.8.1, A.33.1, A.35, A.51.3, A.96): attributes.

Top-level attributes only, also some that are not written today, so that one that is written tomorrow stands
in its module by itself. What no module of an object names is an extension of its SOP class.
"""

from collections.abc import Mapping

MODULES: Mapping[str, str] = {
    "Patient": """
        ReferencedPatientSequence PatientName PatientID IssuerOfPatientID TypeOfPatientID
        IssuerOfPatientIDQualifiersSequence SourcePatientGroupIdentificationSequence
        PatientBirthDate PatientBirthTime PatientSex QualityControlSubject OtherPatientNames
        OtherPatientIDsSequence EthnicGroup EthnicGroupCodeSequence ResponsiblePerson
        ResponsiblePersonRole ResponsibleOrganization PatientComments PatientIdentityRemoved
        DeidentificationMethod DeidentificationMethodCodeSequence""",
    "Clinical Trial Subject": """
        ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName
        ClinicalTrialSiteID ClinicalTrialSiteName ClinicalTrialSubjectID
        ClinicalTrialSubjectReadingID ClinicalTrialProtocolEthicsCommitteeName
        ClinicalTrialProtocolEthicsCommitteeApprovalNumber""",
    "General Study": """
        StudyDate StudyTime AccessionNumber IssuerOfAccessionNumberSequence ReferringPhysicianName
        ReferringPhysicianIdentificationSequence ConsultingPhysicianName StudyDescription
        ProcedureCodeSequence PhysiciansOfRecord NameOfPhysiciansReadingStudy
        ReferencedStudySequence StudyInstanceUID StudyID RequestingService
        ReasonForPerformedProcedureCodeSequence""",
    "Patient Study": """
        AdmittingDiagnosesDescription PatientAge PatientSize PatientBodyMassIndex PatientWeight
        MedicalAlerts Allergies Occupation SmokingStatus AdditionalPatientHistory PregnancyStatus
        PatientSexNeutered ReasonForVisit AdmissionID""",
    "Clinical Trial Study": """
        ClinicalTrialTimePointID ClinicalTrialTimePointDescription
        LongitudinalTemporalOffsetFromEvent""",
    "General Series": """
        SeriesDate SeriesTime Modality SeriesDescription PerformingPhysicianName OperatorsName
        ReferencedPerformedProcedureStepSequence BodyPartExamined ProtocolName PatientPosition
        SeriesInstanceUID SeriesNumber Laterality PerformedProcedureStepStartDate
        PerformedProcedureStepStartTime PerformedProcedureStepID PerformedProcedureStepDescription
        PerformedProtocolCodeSequence RequestAttributesSequence""",
    "SR Document Series": """
        SeriesDate SeriesTime Modality SeriesDescription SeriesDescriptionCodeSequence
        ReferencedPerformedProcedureStepSequence ProtocolName SeriesInstanceUID SeriesNumber""",
    "Clinical Trial Series": "ClinicalTrialCoordinatingCenterName ClinicalTrialSeriesID",
    "Frame of Reference": "FrameOfReferenceUID PositionReferenceIndicator",
    "General Equipment": """
        Manufacturer InstitutionName InstitutionAddress StationName InstitutionalDepartmentName
        ManufacturerModelName DeviceSerialNumber DeviceUID UDISequence SoftwareVersions
        PixelPaddingValue""",
    "SC Equipment": """
        ConversionType SecondaryCaptureDeviceID SecondaryCaptureDeviceManufacturer
        SecondaryCaptureDeviceManufacturerModelName SecondaryCaptureDeviceSoftwareVersions""",
    "General Acquisition": "AcquisitionDate AcquisitionDateTime AcquisitionTime AcquisitionNumber",
    "General Image": """
        ImageType ContentDate ContentTime AnatomicRegionSequence PrimaryAnatomicStructureSequence
        InstanceNumber PatientOrientation ImageLaterality ImageComments BurnedInAnnotation
        RecognizableVisualFeatures LossyImageCompression LossyImageCompressionRatio
        LossyImageCompressionMethod PresentationLUTShape""",
    "General Reference": """
        ReferencedImageSequence ReferencedInstanceSequence DerivationDescription SourceImageSequence
        DerivationCodeSequence SourceInstanceSequence""",
    "Image Pixel": """
        SamplesPerPixel PhotometricInterpretation PlanarConfiguration Rows Columns PixelAspectRatio
        BitsAllocated BitsStored HighBit PixelRepresentation ICCProfile ColorSpace PixelData""",
    "SC Image": """
        DateOfSecondaryCapture TimeOfSecondaryCapture PixelSpacing PixelSpacingCalibrationType
        ViewCodeSequence""",
    "Segmentation Image": """
        SegmentationType SegmentSequence MaximumFractionalValue SegmentationFractionalType
        SegmentsOverlap ContentLabel ContentDescription ContentCreatorName
        ContentCreatorIdentificationCodeSequence""",
    "Multi-frame Functional Groups": """
        NumberOfFrames SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence""",
    "Multi-frame Dimension": "DimensionOrganizationSequence DimensionIndexSequence DimensionOrganizationType",
    "Common Instance Reference": """
        ReferencedSeriesSequence StudiesContainingOtherReferencedInstancesSequence""",
    "SR Document General": """
        ContentDate ContentTime InstanceNumber VerifyingObserverSequence AuthorObserverSequence
        ParticipantSequence CustodialOrganizationSequence PredecessorDocumentsSequence
        ReferencedRequestSequence PerformedProcedureCodeSequence
        CurrentRequestedProcedureEvidenceSequence PertinentOtherEvidenceSequence CompletionFlag
        CompletionFlagDescription VerificationFlag PreliminaryFlag""",
    "SR Document Content": """
        ValueType ConceptNameCodeSequence ContinuityOfContent ContentTemplateSequence
        ContentSequence ObservationDateTime ObservationUID""",
    "Presentation State Identification": """
        InstanceNumber ContentLabel ContentDescription PresentationCreationDate
        PresentationCreationTime ContentCreatorName ContentCreatorIdentificationCodeSequence""",
    "Presentation State Relationship": "ReferencedSeriesSequence",
    "Presentation State Shutter, Display Shutter": """
        ShutterShape ShutterLeftVerticalEdge ShutterRightVerticalEdge ShutterUpperHorizontalEdge
        ShutterLowerHorizontalEdge CenterOfCircularShutter RadiusOfCircularShutter
        VerticesOfThePolygonalShutter ShutterPresentationValue ShutterPresentationColorCIELabValue""",
    "Overlay Activation": "OverlayActivationLayer",
    "Displayed Area": "DisplayedAreaSelectionSequence",
    "Graphic Annotation": "GraphicAnnotationSequence",
    "Graphic Layer": "GraphicLayerSequence",
    "Graphic Group": "GraphicGroupSequence",
    "Spatial Transformation": "ImageHorizontalFlip ImageRotation",
    "Modality LUT": "RescaleIntercept RescaleSlope RescaleType ModalityLUTSequence",
    "Softcopy VOI LUT": "SoftcopyVOILUTSequence",
    "Softcopy Presentation LUT": "PresentationLUTSequence PresentationLUTShape",
    "SOP Common": """
        SpecificCharacterSet InstanceCreationDate InstanceCreationTime InstanceCreatorUID
        SOPClassUID SOPInstanceUID SyntheticData CodingSchemeIdentificationSequence
        TimezoneOffsetFromUTC ContentQualification ContributingEquipmentSequence InstanceNumber
        SOPInstanceStatus InstanceOriginStatus""",
}
"""Keywords by module."""

COMMON = ("Patient", "Clinical Trial Subject", "General Study", "Patient Study", "Clinical Trial Study")
SERIES = ("General Series", "Clinical Trial Series")

SEG_MODULES = (
    *(*COMMON, *SERIES, "Frame of Reference", "General Equipment", "General Acquisition", "General Image"),
    *("General Reference", "Image Pixel", "Segmentation Image", "Multi-frame Functional Groups"),
    *("Multi-frame Dimension", "Common Instance Reference", "SOP Common"),
)

IODS: Mapping[str, tuple[str, ...]] = {
    "Segmentation": SEG_MODULES,
    "Label Map Segmentation": SEG_MODULES,
    "Comprehensive SR and Comprehensive 3D SR": (
        *(*COMMON, "SR Document Series", "Clinical Trial Series", "General Equipment"),
        *("SR Document General", "SR Document Content", "SOP Common"),
    ),
    "Grayscale Softcopy Presentation State": (
        *(*COMMON, *SERIES, "General Equipment", "Presentation State Identification"),
        *(
            "Presentation State Relationship",
            "Presentation State Shutter, Display Shutter",
            "Overlay Activation",
        ),
        *("Displayed Area", "Graphic Annotation", "Spatial Transformation", "Graphic Layer", "Graphic Group"),
        *("Modality LUT", "Softcopy VOI LUT", "Softcopy Presentation LUT", "SOP Common"),
    ),
    "Secondary Capture Image": (
        *(*COMMON, *SERIES, "General Equipment", "SC Equipment", "General Acquisition", "General Image"),
        *("General Reference", "Image Pixel", "SC Image", "Common Instance Reference", "SOP Common"),
    ),
}
"""Modules in the order of the IOD's table."""

EXTENSION = "Not in this IOD (Standard Extended SOP Class)"


def module_of(kind: str, keyword: str) -> str:
    """Return which module of a kind of object an attribute belongs to.

    >>> module_of("Segmentation", "PatientID"), module_of("Secondary Capture Image", "SegmentSequence")
    ('Patient', 'Not in this IOD (Standard Extended SOP Class)')
    """
    return next((name for name in IODS[kind] if keyword in MODULES[name].split()), EXTENSION)
